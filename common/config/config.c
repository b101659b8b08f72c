#include "config/config.h"

#include "base/memory.h"
#include "config/check.h"
#include "config/gateway_id.h"
#include "config/sources.h"
#include "config/table.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

static void load_defaults(struct config_loader *loader)
{
    char id[GATEWAY_ID_BYTES];
    for (size_t i = 0; i < config_table_count; i++)
        if (config_table[i].initial != NULL)
            config_set_value(loader, &config_table[i], config_table[i].initial);
    gateway_id_make(id);
    loader->config->gateway_id = memory_copy_string(id);
}

struct config_result config_load(struct config *config, int argc, char *const *argv,
                                 char *const *environment)
{
    struct config_loader loader = {.config = config, .result = {.action = CONFIG_RUN}};
    memset(config, 0, sizeof *config);
    load_defaults(&loader);
    if (config_find_action(&loader, argc, argv) == 0 && loader.result.action != CONFIG_HELP &&
        loader.result.action != CONFIG_VERSION &&
        config_load_sources(&loader, argc, argv, environment) == 0)
        config_check(&loader);
    config_clear_list(&loader.drop_ins);
    return loader.result;
}

void config_clear_addr(struct config *config)
{
    config_clear_list(&config->addr);
}

const char *config_add_addr(struct config *config, const struct listen_address *address)
{
    char text[LISTEN_TEXT_BYTES];
    if (config->addr.count == CONFIG_ADDRESSES)
        return "is one address too many: 16 at most";
    if (config->echo_path != NULL && !listen_address_is_local(address))
        return "is not loopback, and echo-path is allowed on loopback alone";
    listen_address_format(address, text);
    config->listen[config->addr.count] = *address;
    config_list_add(&config->addr, text, strlen(text));
    return NULL;
}

void config_done(struct config *config)
{
    for (size_t i = 0; i < config_table_count; i++) {
        if (config_table[i].type == CONFIG_STRING)
            free(*(char **)config_field(config, &config_table[i]));
        else if (config_table[i].type == CONFIG_LIST)
            config_clear_list(config_field(config, &config_table[i]));
    }
    free(config->trusted_proxy_blocks.items);
    free(config->ops_allow_blocks.items);
    memset(config, 0, sizeof *config);
}
