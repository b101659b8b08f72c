#include "config/config.h"

#include "config/gateway_id.h"
#include "config/internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- Rows --- */

const struct config_row *config_find_row(const char *name, size_t len)
{
    for (size_t i = 0; i < config_table_count; i++)
        if (strlen(config_table[i].name) == len && strncmp(config_table[i].name, name, len) == 0)
            return &config_table[i];
    return NULL;
}

static bool is_like(const char *name, const char *text, size_t len)
{
    if (strlen(name) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] != (text[i] == '_' ? '-' : tolower((unsigned char)text[i])))
            return false;
    return true;
}

/* Another source's spelling: "MAX_TEXT", "YUKIZURI_MAX_TEXT", "--max-text". */
const struct config_row *config_guess_row(const char *name, size_t len)
{
    static const char prefix[] = "yukizuri-";
    size_t dashes = strspn(name, "-");
    if (dashes < len) {
        name += dashes;
        len -= dashes;
    }
    if (len >= sizeof prefix && is_like(prefix, name, sizeof prefix - 1)) {
        name += sizeof prefix - 1;
        len -= sizeof prefix - 1;
    }
    for (size_t i = 0; i < config_table_count; i++)
        if (is_like(config_table[i].name, name, len))
            return &config_table[i];
    return NULL;
}

void *config_field(struct config *config, const struct config_row *row)
{
    return (char *)config + row->offset;
}

/* --- What is said --- */

/* "--max-text: ", "YUKIZURI_MAX_TEXT: ", "/etc/yukizuri.conf:3: max-text: ". */
static void print_place(const struct config_loader *loader, const struct config_row *row, FILE *out)
{
    enum config_source source = loader->here.source;
    if (source == CONFIG_FROM_FILE && loader->here.line > 0)
        fprintf(out, "%.200s:%d: ", loader->path, loader->here.line);
    if (row == NULL)
        return;
    if (source == CONFIG_FROM_ENVIRONMENT)
        config_print_variable(out, row->name);
    else
        fprintf(out, "%s%s", source == CONFIG_FROM_COMMAND_LINE ? "--" : "", row->name);
    fputs(": ", out);
}

/* What is printed in may hold anything. */
static void make_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text))
            *text = '?';
}

static void compose(const struct config_loader *loader, const struct config_row *row,
                    char out[CONFIG_LINE_BYTES], const char *format, va_list values)
    __attribute__((format(printf, 4, 0)));

static void compose(const struct config_loader *loader, const struct config_row *row,
                    char out[CONFIG_LINE_BYTES], const char *format, va_list values)
{
    memset(out, 0, CONFIG_LINE_BYTES);
    FILE *line = fmemopen(out, CONFIG_LINE_BYTES - 1, "w"); /* which cuts what is too long */
    if (line == NULL)
        abort(); /* out of memory */
    print_place(loader, row, line);
    vfprintf(line, format, values);
    fclose(line);
    make_one_line(out);
}

int config_fail(struct config_loader *loader, const struct config_row *row, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    compose(loader, row, loader->result.error, format, values);
    va_end(values);
    loader->result.action = CONFIG_FAILED;
    return -1;
}

void config_warn(struct config_loader *loader, const struct config_row *row, const char *format,
                 ...)
{
    struct config_result *result = &loader->result;
    if (result->warning_count == CONFIG_WARNINGS)
        return;
    va_list values;
    va_start(values, format);
    compose(loader, row, result->warnings[result->warning_count++], format, values);
    va_end(values);
}

/* --- Loading --- */

static void load_defaults(struct config_loader *loader)
{
    char id[GATEWAY_ID_BYTES];
    for (size_t i = 0; i < config_table_count; i++)
        if (config_table[i].initial != NULL)
            config_set_value(loader, &config_table[i], config_table[i].initial);
    gateway_id_make(id);
    config_set_string(&loader->config->gateway_id, id);
}

static int load_all(struct config_loader *loader, int argc, char *const *argv,
                    char *const *environment)
{
    const char *path = config_find_file(argc, argv, environment);
    if (path != NULL && config_load_file(loader, path) != 0)
        return -1;
    if (config_load_environment(loader, environment) != 0 ||
        config_load_arguments(loader, argc, argv) != 0)
        return -1;
    return config_check(loader);
}

struct config_result config_load(struct config *config, int argc, char *const *argv,
                                 char *const *environment)
{
    struct config_loader loader = {.config = config, .result = {.action = CONFIG_RUN}};
    memset(config, 0, sizeof *config);
    load_defaults(&loader);
    if (config_find_action(&loader, argc, argv) == 0 && loader.result.action != CONFIG_HELP &&
        loader.result.action != CONFIG_VERSION)
        load_all(&loader, argc, argv, environment);
    return loader.result;
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
