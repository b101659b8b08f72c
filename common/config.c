#include "config.h"

#include "config_sizes.h"
#include "config_table.h"
#include "gateway_id.h"
#include "memory.h"
#include "name.h"
#include "origin.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where a value came from; a later source takes the place of an earlier one. */
enum source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_COMMAND_LINE };

enum { FILE_BYTES = 65536, MOST_ROWS = 64 };

struct loader {
    struct config *config;
    struct config_result result;
    enum source last[MOST_ROWS]; /* the source that filled each row */
};

static int fail(struct loader *loader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(struct loader *loader, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(loader->result.error, sizeof loader->result.error, format, args);
    va_end(args);
    loader->result.action = CONFIG_FAILED;
    return -1;
}

static void *field(struct config *config, const struct config_row *row)
{
    return (char *)config + row->offset;
}

static const struct config_row *find_row(const char *name, size_t len)
{
    for (size_t i = 0; i < config_table_count; i++)
        if (strlen(config_table[i].name) == len && strncmp(config_table[i].name, name, len) == 0)
            return &config_table[i];
    return NULL;
}

/* --- Values --- */

static void list_clear(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

static void list_add(struct config_list *list, const char *text, size_t len)
{
    list->items = memory_resize(list->items, list->count + 1, sizeof *list->items);
    list->items[list->count++] = memory_copy(text, len);
}

/* One or more items, separated by commas or blanks. */
static void set_list(struct config_list *list, const char *text, bool replace)
{
    if (replace)
        list_clear(list);
    for (text += strspn(text, ", "); *text != '\0'; text += strspn(text, ", ")) {
        size_t len = strcspn(text, ", ");
        list_add(list, text, len);
        text += len;
    }
}

static int set_bool(struct loader *loader, const struct config_row *row, const char *text)
{
    bool *out = field(loader->config, row);
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcmp(text, "on") == 0)
        *out = true;
    else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0 || strcmp(text, "off") == 0)
        *out = false;
    else
        return fail(loader, "%s: \"%s\" is neither true nor false", row->name, text);
    return 0;
}

static int set_count(struct loader *loader, const struct config_row *row, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value < row->least ||
        value > row->most)
        return fail(loader, "%s: \"%s\" is not a number from %llu to %llu", row->name, text,
                    (unsigned long long)row->least, (unsigned long long)row->most);
    *(uint64_t *)field(loader->config, row) = value;
    return 0;
}

static int set_auto(struct loader *loader, const struct config_row *row, const char *text)
{
    if (strcmp(text, "auto") != 0)
        return set_count(loader, row, text);
    *(uint64_t *)field(loader->config, row) = 0;
    return 0;
}

static int set_choice(struct loader *loader, const struct config_row *row, const char *text)
{
    size_t len = strlen(text);
    const char *word = row->value;
    for (unsigned i = 0; word != NULL; i++) {
        if (strcspn(word, "|") == len && strncmp(word, text, len) == 0) {
            *(unsigned *)field(loader->config, row) = i;
            return 0;
        }
        word = strchr(word, '|');
        word += word != NULL;
    }
    return fail(loader, "%s: \"%s\" is none of %s", row->name, text, row->value);
}

static int set_rate(struct loader *loader, const struct config_row *row, const char *text)
{
    char *end;
    double per_second = strtod(text, &end);
    double burst = per_second;
    bool good = isdigit((unsigned char)text[0]) != 0;
    if (good && *end == ':') {
        good = isdigit((unsigned char)end[1]) != 0;
        burst = strtod(end + 1, &end);
    }
    if (!good || *end != '\0' || per_second > 1e6 || burst > 1e6 || (per_second > 0 && burst < 1))
        return fail(loader, "%s: \"%s\" is not N:BURST, such as 5:20", row->name, text);
    *(struct rate_limit *)field(loader->config, row) =
        (struct rate_limit){.per_second = per_second, .burst = burst};
    return 0;
}

static void set_string(char **out, const char *text)
{
    free(*out);
    *out = text[0] == '\0' ? NULL : memory_copy_string(text);
}

static int set_value(struct loader *loader, const struct config_row *row, const char *text,
                     enum source source)
{
    enum source *last = &loader->last[row - config_table];
    bool replace = *last != source;
    *last = source;
    switch (row->type) {
    case CONFIG_STRING:
        set_string(field(loader->config, row), text);
        return 0;
    case CONFIG_LIST:
        set_list(field(loader->config, row), text, replace);
        return 0;
    case CONFIG_BOOL:
        return set_bool(loader, row, text);
    case CONFIG_COUNT:
        return set_count(loader, row, text);
    case CONFIG_AUTO:
        return set_auto(loader, row, text);
    case CONFIG_CHOICE:
        return set_choice(loader, row, text);
    case CONFIG_RATE:
        return set_rate(loader, row, text);
    }
    return 0;
}

static void load_defaults(struct loader *loader)
{
    for (size_t i = 0; i < config_table_count; i++)
        if (config_table[i].initial != NULL)
            set_value(loader, &config_table[i], config_table[i].initial, FROM_DEFAULT);
    char id[GATEWAY_ID_BYTES];
    gateway_id_make(id);
    set_string(&loader->config->gateway_id, id);
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        text[--len] = '\0';
    return text;
}

static int load_line(struct loader *loader, char *line, const char *path, int number)
{
    line = trim(line);
    if (line[0] == '\0' || line[0] == '#')
        return 0;
    char *value = strchr(line, '=');
    if (value == NULL)
        return fail(loader, "%s:%d: expected \"SETTING = VALUE\"", path, number);
    *value++ = '\0';
    line = trim(line);
    const struct config_row *row = find_row(line, strlen(line));
    if (row == NULL)
        return fail(loader, "%s:%d: unknown setting \"%s\"", path, number, line);
    return set_value(loader, row, trim(value), FROM_FILE);
}

static int load_file(struct loader *loader, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fail(loader, "cannot read %s: %s", path, strerror(errno));
    char line[4096];
    int error = 0;
    for (int number = 1; error == 0 && fgets(line, sizeof line, file) != NULL; number++)
        error = load_line(loader, line, path, number);
    if (error == 0 && ferror(file))
        error = fail(loader, "cannot read %s: %s", path, strerror(errno));
    fclose(file);
    return error;
}

/* YUKIZURI_MAX_TEXT=… → max-text. An unknown variable is warned about and no more: container
 * managers and test runners set variables of that form for reasons of their own. */
static int load_variable(struct loader *loader, const char *variable)
{
    static const char prefix[] = "YUKIZURI_";
    if (strncmp(variable, prefix, sizeof prefix - 1) != 0)
        return 0;
    const char *equals = strchr(variable, '=');
    char name[64];
    size_t len = equals == NULL ? 0 : (size_t)(equals - variable) - (sizeof prefix - 1);
    if (len == 0 || len >= sizeof name)
        return 0;
    for (size_t i = 0; i < len; i++) {
        char c = variable[sizeof prefix - 1 + i];
        name[i] = (char)(c == '_' ? '-' : tolower((unsigned char)c));
    }
    if (len == 6 && strncmp(name, "config", 6) == 0)
        return 0;
    const struct config_row *row = find_row(name, len);
    if (row == NULL) {
        snprintf(loader->result.warning, sizeof loader->result.warning,
                 "the environment variable %.*s is no setting and is ignored",
                 (int)(equals - variable), variable);
        return 0;
    }
    return set_value(loader, row, equals + 1, FROM_ENVIRONMENT);
}

struct argument {
    const char *name;
    size_t name_len;
    const char *value; /* NULL when it did not come with '=' */
};

static int split_argument(const char *text, struct argument *out)
{
    if (text[0] != '-' || text[1] == '\0')
        return -1;
    text += text[1] == '-' ? 2 : 1;
    out->name = text;
    out->name_len = strcspn(text, "=");
    out->value = text[out->name_len] == '=' ? text + out->name_len + 1 : NULL;
    return out->name_len == 0 ? -1 : 0;
}

static bool is_named(const struct argument *argument, const char *name)
{
    return strlen(name) == argument->name_len && strncmp(argument->name, name, strlen(name)) == 0;
}

/* --help, --version, --check-config, -h. */
static int load_action(struct loader *loader, const struct argument *argument)
{
    static const char *const formats[] = {"text", "markdown", "man", "bash"};
    if (is_named(argument, "version")) {
        loader->result.action = CONFIG_VERSION;
        return 0;
    }
    if (is_named(argument, "check-config")) {
        loader->result.action = CONFIG_CHECK;
        return 0;
    }
    const char *format = argument->value == NULL ? "text" : argument->value;
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(format, formats[i]) == 0) {
            snprintf(loader->result.format, sizeof loader->result.format, "%s", format);
            loader->result.action = CONFIG_HELP;
            return 0;
        }
    }
    return fail(loader, "help: \"%s\" is not text, markdown, man or bash", format);
}

static bool is_action(const struct argument *argument)
{
    return is_named(argument, "help") || is_named(argument, "h") || is_named(argument, "version") ||
           is_named(argument, "check-config");
}

/* Handles argv[*at], and its value when that is the next argument. */
static int load_argument(struct loader *loader, int argc, char *const *argv, int *at)
{
    struct argument argument;
    if (split_argument(argv[*at], &argument) != 0)
        return fail(loader, "unexpected argument \"%s\"; see --help", argv[*at]);
    if (is_action(&argument))
        return load_action(loader, &argument);
    bool config_file = is_named(&argument, "config");
    const struct config_row *row = find_row(argument.name, argument.name_len);
    if (row == NULL && !config_file)
        return fail(loader, "unknown setting --%.*s; see --help", (int)argument.name_len,
                    argument.name);
    const char *value = argument.value;
    if (value == NULL && row != NULL && row->type == CONFIG_BOOL)
        value = "true";
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL)
        return fail(loader, "--%.*s needs a value", (int)argument.name_len, argument.name);
    return config_file ? 0 : set_value(loader, row, value, FROM_COMMAND_LINE);
}

static const char *find_config_file(int argc, char *const *argv, char *const *environment)
{
    const char *path = NULL;
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, "YUKIZURI_CONFIG=", 16) == 0)
            path = *environment + 16;
    for (int i = 1; i < argc; i++) {
        struct argument argument;
        if (split_argument(argv[i], &argument) != 0 || !is_named(&argument, "config"))
            continue;
        path = argument.value != NULL ? argument.value : argv[i + 1];
    }
    return path;
}

/* --- Derived values, and what only all settings together can tell --- */

static int derive_blocks(struct loader *loader, const char *name, const struct config_list *list,
                         struct config_blocks *out)
{
    out->items = memory_new((list->count + 1) * sizeof *out->items);
    for (size_t i = 0; i < list->count; i++) {
        if (address_block_parse(list->items[i], &out->items[i]) != 0)
            return fail(loader, "%s: \"%s\" is not an address or CIDR block", name, list->items[i]);
        out->count++;
    }
    return 0;
}

static int read_password(struct loader *loader)
{
    const char *path = loader->config->redis_password_file;
    if (path == NULL)
        return 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fail(loader, "redis-password-file: cannot read %s: %s", path, strerror(errno));
    char *password = loader->config->redis_url.password;
    if (fgets(password, sizeof loader->config->redis_url.password, file) == NULL)
        password[0] = '\0';
    fclose(file);
    password[strcspn(password, "\r\n")] = '\0';
    return password[0] == '\0' ? fail(loader, "redis-password-file: %s is empty", path) : 0;
}

static int check_addresses(struct loader *loader)
{
    const struct config *config = loader->config;
    if (config->addr.count == 0)
        return fail(loader, "addr: at least one address is needed");
    if (config->addr.count > CONFIG_ADDRESSES)
        return fail(loader, "addr: at most %d addresses", CONFIG_ADDRESSES);
    for (size_t i = 0; i < config->addr.count; i++) {
        const char *text = config->addr.items[i];
        const char *colon = strrchr(text, ':');
        if (strncmp(text, "unix:", 5) == 0 && text[5] != '\0' && strlen(text + 5) < 100)
            continue;
        char *end = NULL;
        unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, &end, 10);
        struct address address;
        bool host_good =
            colon == text || (colon != NULL && (strncmp(text, "localhost:", 10) == 0 ||
                                                address_parse(text, strlen(text), &address) == 0));
        if (!host_good || !isdigit((unsigned char)colon[1]) || *end != '\0' || port > 65535)
            return fail(loader, "addr: \"%s\" is not :PORT, HOST:PORT, [V6]:PORT or unix:PATH",
                        text);
    }
    return 0;
}

static bool has_unix_address(const struct config *config)
{
    for (size_t i = 0; i < config->addr.count; i++)
        if (strncmp(config->addr.items[i], "unix:", 5) == 0)
            return true;
    return false;
}

static bool all_addresses_are_loopback(const struct config *config)
{
    for (size_t i = 0; i < config->addr.count; i++) {
        const char *text = config->addr.items[i];
        struct address address;
        if (strncmp(text, "unix:", 5) == 0 || strncmp(text, "localhost:", 10) == 0)
            continue;
        if (address_parse(text, strlen(text), &address) != 0 || !address_is_loopback(&address))
            return false;
    }
    return true;
}

/* Words that become part of a Redis key or a metric's label. */
static int check_word(struct loader *loader, const char *name, const char *word)
{
    if (word == NULL || strlen(word) > 64 || word[strcspn(word, " \t\r\n{}\"\\*?")] != '\0')
        return fail(loader, "%s: must be 1 to 64 characters without blanks, quotes or braces",
                    name);
    return 0;
}

static int derive(struct loader *loader)
{
    struct config *config = loader->config;
    char room[NAME_BYTES];
    char why[400];
    const char *wrong =
        redis_url_parse(config->redis == NULL ? "" : config->redis, &config->redis_url);
    if (wrong != NULL)
        return fail(loader, "redis: %s", wrong);
    if (read_password(loader) != 0 || check_addresses(loader) != 0 ||
        check_word(loader, "redis-prefix", config->redis_prefix) != 0 ||
        check_word(loader, "gateway-id", config->gateway_id) != 0)
        return -1;
    wrong = config_judge_sizes(config, why, sizeof why);
    if (wrong != NULL)
        return fail(loader, "max-message: %s", wrong);
    wrong = redis_url_judge_prefix(config->redis_prefix);
    if (wrong != NULL)
        return fail(loader, "redis-prefix: %s", wrong);
    wrong = gateway_id_judge(config->gateway_id, config->workers != 1);
    if (wrong != NULL)
        return fail(loader, "gateway-id: %s", wrong);
    if (config->room == NULL ||
        name_judge_room(config->room, strlen(config->room), room) != NAME_OK)
        return fail(loader, "room: not a fair room name: 1 to 32 letters, digits, '-', '_' or '.'");
    wrong = origin_judge_all(config->origin.items, config->origin.count, why, sizeof why);
    if (wrong != NULL)
        return fail(loader, "origin: %s", wrong);
    if (config->workers != 1 && has_unix_address(config))
        return fail(loader, "workers: only one gateway can listen on unix:PATH");
    if (config->echo_path != NULL && config->echo_path[0] != '/')
        return fail(loader, "echo-path: must begin with /");
    if (config->echo_path != NULL && !all_addresses_are_loopback(config))
        return fail(loader, "echo-path: only allowed when every addr is loopback");
    if (derive_blocks(loader, "trusted-proxy", &config->trusted_proxy,
                      &config->trusted_proxy_blocks) != 0)
        return -1;
    return derive_blocks(loader, "ops-allow", &config->ops_allow, &config->ops_allow_blocks);
}

struct config_result config_load(struct config *config, int argc, char *const *argv,
                                 char *const *environment)
{
    struct loader loader = {.config = config, .result = {.action = CONFIG_RUN}};
    memset(config, 0, sizeof *config);
    load_defaults(&loader);
    const char *path = find_config_file(argc, argv, environment);
    int error = path == NULL ? 0 : load_file(&loader, path);
    for (; error == 0 && *environment != NULL; environment++)
        error = load_variable(&loader, *environment);
    for (int i = 1; error == 0 && i < argc; i++)
        error = load_argument(&loader, argc, argv, &i);
    if (error == 0 && (loader.result.action == CONFIG_RUN || loader.result.action == CONFIG_CHECK))
        derive(&loader);
    return loader.result;
}

void config_done(struct config *config)
{
    for (size_t i = 0; i < config_table_count; i++) {
        if (config_table[i].type == CONFIG_STRING)
            free(*(char **)field(config, &config_table[i]));
        else if (config_table[i].type == CONFIG_LIST)
            list_clear(field(config, &config_table[i]));
    }
    free(config->trusted_proxy_blocks.items);
    free(config->ops_allow_blocks.items);
    memset(config, 0, sizeof *config);
}
