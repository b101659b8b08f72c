/* What is a good value, and which values contradict each other. */
#include "config/internal.h"

#include "base/memory.h"
#include "config/gateway_id.h"
#include "config/password_file.h"
#include "config/sizes.h"
#include "protocol/name.h"
#include "protocol/origin.h"
#include "protocol/scan.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- One value --- */

static const char *judge_addr(const char *text)
{
    struct listen_address address;
    return listen_address_parse(text, &address);
}

static const char *judge_redis(const char *text)
{
    struct redis_url url;
    const char *wrong = redis_url_parse(text, &url);
    explicit_bzero(&url, sizeof url);
    return wrong;
}

static const char *judge_block(const char *text)
{
    struct address_block block;
    return address_block_parse(text, &block) == 0
               ? NULL
               : "is not an address or CIDR block, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";
}

static bool has_controls(const char *text)
{
    while (*text != '\0' && !iscntrl((unsigned char)*text))
        text++;
    return *text != '\0';
}

/* Words that become part of a Redis key or a metric's label: Prometheus throws all of an answer
 * away that has a byte in it which is no UTF-8. */
static const char *judge_word(const char *text)
{
    return strlen(text) > 64 || text[strcspn(text, " {}\"\\*?")] != '\0' || has_controls(text) ||
                   !scan_is_utf8(text, strlen(text))
               ? "must be 1 to 64 characters (UTF-8) without blanks, controls, quotes, braces, "
                 "'\\', '*' or '?'"
               : NULL;
}

static const char *judge_prefix(const char *text)
{
    const char *wrong = judge_word(text);
    return wrong != NULL ? wrong : redis_url_judge_prefix(text);
}

static const char *judge_id(const char *text)
{
    const char *wrong = judge_word(text);
    return wrong != NULL ? wrong : gateway_id_judge(text, false);
}

static const char *judge_room(const char *text)
{
    char room[NAME_BYTES];
    return name_judge_room(text, strlen(text), room) == NAME_OK
               ? NULL
               : "is not a fair room name: 1 to 32 letters, digits, '-', '_' or '.'";
}

static const char *judge_path(const char *text)
{
    return text[0] == '/' ? NULL : "must begin with /";
}

/* The end of a sentence; NULL: nothing is wrong. */
static const char *find_wrong(const struct config_row *row, const char *text)
{
    static const struct {
        const char *name;
        const char *(*judge)(const char *text);
    } judges[] = {
        {"addr", judge_addr},       {"redis", judge_redis},    {"redis-prefix", judge_prefix},
        {"gateway-id", judge_id},   {"room", judge_room},      {"trusted-proxy", judge_block},
        {"ops-allow", judge_block}, {"echo-path", judge_path},
    };
    for (size_t i = 0; i < sizeof judges / sizeof *judges; i++)
        if (strcmp(judges[i].name, row->name) == 0)
            return judges[i].judge(text);
    return NULL;
}

static int judge_origin(struct config_loader *loader, const struct config_row *row, char *text)
{
    char why[400];
    const char *wrong = origin_judge_all(&text, 1, why, sizeof why);
    return wrong == NULL ? 0 : config_fail(loader, row, "%s", wrong);
}

/* Secrets are among the values of `redis`. */
int config_judge(struct config_loader *loader, const struct config_row *row, const char *text)
{
    if (strcmp(row->name, "origin") == 0)
        return judge_origin(loader, row, (char *)(uintptr_t)text);
    const char *wrong = find_wrong(row, text);
    if (wrong == NULL)
        return 0;
    if (strcmp(row->name, "redis") == 0)
        return config_fail(loader, row, "%s", wrong);
    return config_fail(loader, row, "\"%.128s\" %s", text, wrong);
}

/* --- All of them together --- */

static const struct config_row *row_of(const char *name)
{
    return config_find_row(name, strlen(name));
}

static bool is_given(const struct config_loader *loader, const char *name)
{
    return loader->places[row_of(name) - config_table].source != CONFIG_FROM_DEFAULT;
}

/* The row; what is said next is said of where its value stands. */
static const struct config_row *blame(struct config_loader *loader, const char *name)
{
    const struct config_row *row = row_of(name);
    loader->here = loader->places[row - config_table];
    return row;
}

/* A setting that has a default and was given as nothing. */
static int check_presence(struct config_loader *loader)
{
    for (size_t i = 0; i < config_table_count; i++) {
        const struct config_row *row = &config_table[i];
        bool needed = row->initial != NULL || strcmp(row->name, "gateway-id") == 0;
        if (row->type == CONFIG_STRING && needed &&
            *(char **)config_field(loader->config, row) == NULL)
            return config_fail(loader, blame(loader, row->name),
                               "is empty; leave it out, or give it a value");
    }
    return 0;
}

static int check_password(struct config_loader *loader)
{
    const char *path = loader->config->redis_password_file;
    struct redis_url *url = &loader->config->redis_url;
    char error[300];
    if (path == NULL && url->user[0] != '\0' && url->password[0] == '\0')
        return config_fail(loader, blame(loader, "redis"),
                           "names a user and no password: add one (user:password@), or "
                           "redis-password-file");
    if (path == NULL)
        return 0;
    if (url->scheme == REDIS_EMBEDDED)
        return config_fail(loader, blame(loader, "redis-password-file"),
                           "the private Redis has no password: name another one with redis, or "
                           "leave this out");
    if (url->password[0] != '\0')
        config_warn(loader, blame(loader, "redis"),
                    "the password in it has no effect: redis-password-file has another one");
    if (password_file_read(path, false, url->password, error, sizeof error) == 0)
        return 0;
    return config_fail(loader, blame(loader, "redis-password-file"), "%s", error);
}

static int derive_addresses(struct config_loader *loader)
{
    struct config *config = loader->config;
    const struct config_row *row = blame(loader, "addr");
    if (config->addr.count == 0)
        return config_fail(loader, row, "at least one address is needed");
    if (config->addr.count > CONFIG_ADDRESSES)
        return config_fail(loader, row, "%zu addresses are too many: %d at most",
                           config->addr.count, CONFIG_ADDRESSES);
    for (size_t i = 0; i < config->addr.count; i++) {
        listen_address_parse(config->addr.items[i], &config->listen[i]);
        for (size_t j = 0; j < i; j++)
            if (listen_address_is_same(&config->listen[i], &config->listen[j]))
                return config_fail(loader, row, "\"%.128s\" is given twice", config->addr.items[i]);
    }
    return 0;
}

static bool has_unix_address(const struct config *config)
{
    for (size_t i = 0; i < config->addr.count; i++)
        if (config->listen[i].kind == LISTEN_UNIX)
            return true;
    return false;
}

static int check_workers(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (config->workers == 1)
        return 0;
    if (has_unix_address(config))
        return config_fail(loader, blame(loader, "workers"),
                           "only one gateway can listen on a path (addr %s): start several with a "
                           "path each, or listen on a port",
                           "unix:PATH");
    const char *wrong = gateway_id_judge(config->gateway_id, true);
    return wrong == NULL ? 0
                         : config_fail(loader, blame(loader, "gateway-id"), "\"%.128s\" %s",
                                       config->gateway_id, wrong);
}

static int check_echo(struct config_loader *loader)
{
    const struct config *config = loader->config;
    for (size_t i = 0; config->echo_path != NULL && i < config->addr.count; i++)
        if (!listen_address_is_local(&config->listen[i]))
            return config_fail(loader, blame(loader, "echo-path"),
                               "only allowed when every addr is loopback (127.0.0.1, [::1], "
                               "localhost or unix:PATH), and \"%.128s\" is not",
                               config->addr.items[i]);
    return 0;
}

/* Told where somebody wrote one of them. */
static int check_sizes(struct config_loader *loader)
{
    char why[400];
    const char *wrong = config_judge_sizes(loader->config, why, sizeof why);
    if (wrong == NULL)
        return 0;
    const struct config_row *row = blame(loader, "max-message");
    if (is_given(loader, "max-message"))
        return config_fail(loader, row, "%s", wrong);
    blame(loader, "max-text");
    return config_fail(loader, NULL, "max-message: %s", wrong);
}

static void derive_blocks(const struct config_list *list, struct config_blocks *out)
{
    out->items = memory_new((list->count + 1) * sizeof *out->items);
    for (out->count = 0; out->count < list->count; out->count++)
        address_block_parse(list->items[out->count], &out->items[out->count]);
}

/* --- What is allowed, and hardly meant --- */

static void warn_about_retention(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (config->retention > 0 && config->retention < config->leave_grace)
        config_warn(loader,
                    blame(loader, is_given(loader, "retention") ? "retention" : "leave-grace"),
                    "retention (%" PRIu64 " s) is shorter than leave-grace (%" PRIu64
                    " s): who comes back in between is still there for the others, and has missed "
                    "messages",
                    config->retention, config->leave_grace);
    if (config->retention == 0 && is_given(loader, "retention-messages"))
        config_warn(loader, blame(loader, "retention-messages"),
                    "has no effect: retention is 0, which keeps nothing");
}

static void warn_about_log(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (!config->logging && config->log_file != NULL)
        config_warn(loader, blame(loader, "log-file"), "has no effect: logging is false");
    if (!config->logging && config->log_text)
        config_warn(loader, blame(loader, "log-text"), "has no effect: logging is false");
}

static void warn_about_addresses(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (is_given(loader, "addr-mode") && !has_unix_address(config))
        config_warn(loader, blame(loader, "addr-mode"), "has no effect: no addr is a unix:PATH");
    for (size_t i = 0; i < config->addr.count; i++)
        if (config->listen[i].kind != LISTEN_UNIX && config->listen[i].port == 0)
            config_warn(loader, blame(loader, "addr"),
                        "\"%.128s\" has port 0: the system chooses one, and nobody is told which",
                        config->addr.items[i]);
    for (size_t i = 0; i < config->trusted_proxy_blocks.count; i++) {
        const struct address_block *block = &config->trusted_proxy_blocks.items[i];
        bool all = block->bits == 0 || (block->bits == 96 && address_is_ipv4(&block->base));
        if (all)
            config_warn(loader, blame(loader, "trusted-proxy"),
                        "\"%s\" is everybody: whoever connects can claim any address; name the "
                        "proxies alone",
                        config->trusted_proxy.items[i]);
    }
}

static void warn_about_limits(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (config->max_connections > 0 && is_given(loader, "max-connections-per-address") &&
        config->max_connections_per_address > config->max_connections)
        config_warn(loader, blame(loader, "max-connections-per-address"),
                    "has no effect: max-connections is smaller (%" PRIu64 ")",
                    config->max_connections);
    if (config->backlog > 0 && config->backlog < config->max_message)
        config_warn(loader, blame(loader, is_given(loader, "backlog") ? "backlog" : "max-message"),
                    "backlog (%" PRIu64 ") is smaller than max-message (%" PRIu64
                    "): who is a single long message behind is cut off",
                    config->backlog, config->max_message);
}

int config_check(struct config_loader *loader)
{
    struct config *config = loader->config;
    if (check_presence(loader) != 0)
        return -1;
    redis_url_parse(config->redis, &config->redis_url);
    if (check_password(loader) != 0 || derive_addresses(loader) != 0 ||
        check_workers(loader) != 0 || check_echo(loader) != 0 || check_sizes(loader) != 0)
        return -1;
    derive_blocks(&config->trusted_proxy, &config->trusted_proxy_blocks);
    derive_blocks(&config->ops_allow, &config->ops_allow_blocks);
    config->max_connections_given = is_given(loader, "max-connections");
    warn_about_retention(loader);
    warn_about_log(loader);
    warn_about_addresses(loader);
    warn_about_limits(loader);
    return 0;
}
