#include "config/value.h"

#include "base/memory.h"
#include "config/error.h"
#include "config/gateway_id.h"
#include "config/table.h"
#include "protocol/name.h"
#include "protocol/origin.h"
#include "protocol/scan.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_PER_SECOND = 1000000 /* where a row of a rate says nothing else */ };

/* --- What is a good value --- */

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
        {"addr", judge_addr},           {"worker-addr", judge_addr}, {"redis", judge_redis},
        {"redis-prefix", judge_prefix}, {"gateway-id", judge_id},    {"room", judge_room},
        {"trusted-proxy", judge_block}, {"ops-allow", judge_block},  {"echo-path", judge_path},
    };
    for (size_t i = 0; i < sizeof judges / sizeof *judges; i++)
        if (strcmp(judges[i].name, row->name) == 0)
            return judges[i].judge(text);
    return NULL;
}

/* Is that a good value for the row, or a good item of it? Secrets are among the values of `redis`,
 * and what is said of an origin quotes it. */
static int judge_value(struct config_loader *loader, const struct config_row *row, const char *text)
{
    char why[400];
    bool origin = strcmp(row->name, "origin") == 0;
    const char *wrong = origin ? origin_judge(text, why, sizeof why) : find_wrong(row, text);
    if (wrong == NULL)
        return 0;
    if (origin || strcmp(row->name, "redis") == 0)
        return config_fail(loader, row, "%s", wrong);
    return config_fail(loader, row, "\"%.128s\" %s", text, wrong);
}

/* --- What a value says --- */

static int set_string(struct config_loader *loader, const struct config_row *row, const char *text)
{
    char **out = config_field(loader->config, row);
    if (text[0] != '\0' && judge_value(loader, row, text) != 0)
        return -1;
    free(*out);
    *out = text[0] == '\0' ? NULL : memory_copy_string(text);
    return 0;
}

void config_clear_list(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

/* One or more items, separated by commas or blanks. Those of an earlier source go. */
void config_list_add(struct config_list *list, const char *text, size_t len)
{
    list->items = memory_resize(list->items, list->count + 1, sizeof *list->items);
    list->items[list->count++] = memory_copy(text, len);
}

bool config_is_same_source(const struct config_place *one, const struct config_place *other)
{
    return one->source == other->source && one->path == other->path;
}

static int set_list(struct config_loader *loader, const struct config_row *row, const char *text)
{
    static const char separators[] = ", \t\r\n";
    struct config_list *list = config_field(loader->config, row);
    if (!config_is_same_source(&loader->places[row - config_table], &loader->here))
        config_clear_list(list);
    for (text += strspn(text, separators); *text != '\0'; text += strspn(text, separators)) {
        size_t len = strcspn(text, separators);
        config_list_add(list, text, len);
        if (judge_value(loader, row, list->items[list->count - 1]) != 0)
            return -1;
        text += len;
    }
    return 0;
}

static int set_bool(struct config_loader *loader, const struct config_row *row, const char *text)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"},
                                            {"true", "yes", "on", "1"}};
    for (size_t i = 0; i < 8; i++) {
        if (strcasecmp(text, words[i / 4][i % 4]) == 0) {
            *(bool *)config_field(loader->config, row) = i / 4 == 1;
            return 0;
        }
    }
    return config_fail(loader, row,
                       "\"%.128s\" is neither true nor false (yes or no, on or off, 1 or 0)", text);
}

static int set_count(struct config_loader *loader, const struct config_row *row, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value < row->least ||
        value > row->most)
        return config_fail(
            loader, row, "\"%.128s\" is not a number from %llu to %llu (%s, without a unit)", text,
            (unsigned long long)row->least, (unsigned long long)row->most, row->value);
    *(uint64_t *)config_field(loader->config, row) = value;
    return 0;
}

static int set_auto(struct config_loader *loader, const struct config_row *row, const char *text)
{
    if (strcmp(text, "auto") != 0)
        return set_count(loader, row, text);
    *(uint64_t *)config_field(loader->config, row) = 0;
    return 0;
}

static int set_choice(struct config_loader *loader, const struct config_row *row, const char *text)
{
    size_t len = strlen(text);
    const char *word = row->value;
    for (unsigned i = 0; word != NULL; i++) {
        if (strcspn(word, "|") == len && strncmp(word, text, len) == 0) {
            *(unsigned *)config_field(loader->config, row) = i;
            return 0;
        }
        const char *end = strchr(word, '|');
        word = end == NULL ? NULL : end + 1;
    }
    return config_fail(loader, row, "\"%.128s\" is none of %s", text, row->value);
}

/* The permissions of a file, as chmod(1) has them. */
static int set_mode(struct config_loader *loader, const struct config_row *row, const char *text)
{
    size_t digits = strspn(text, "01234567");
    if (digits < 3 || digits > 4 || text[digits] != '\0' || (digits == 4 && text[0] != '0'))
        return config_fail(loader, row,
                           "\"%.128s\" is not a mode of three octal digits, such as 0660", text);
    *(unsigned *)config_field(loader->config, row) = (unsigned)strtoul(text, NULL, 8);
    return 0;
}

/* Digits, and a point with digits behind it: strtod would take 0x5, 5e3 and nan. */
static int parse_decimal(const char **at, double *out)
{
    static const char digits[] = "0123456789";
    const char *start = *at;
    size_t whole = strspn(start, digits);
    size_t fraction = start[whole] == '.' ? strspn(start + whole + 1, digits) : 0;
    if (whole == 0 || whole > 9 || fraction > 9 || (start[whole] == '.' && fraction == 0))
        return -1;
    *out = strtod(start, NULL);
    *at = start + whole + (fraction > 0 ? fraction + 1 : 0);
    return 0;
}

static int set_rate(struct config_loader *loader, const struct config_row *row, const char *text)
{
    const char *at = text;
    struct rate_limit limit = {0};
    bool good = parse_decimal(&at, &limit.per_second) == 0;
    limit.burst = limit.per_second;
    if (good && *at == ':') {
        at++;
        good = parse_decimal(&at, &limit.burst) == 0;
    }
    double most = row->most > 0 ? (double)row->most : MOST_PER_SECOND;
    if (!good || *at != '\0' || limit.per_second > most || limit.burst > most)
        return config_fail(loader, row, "\"%.128s\" is not N:BURST, such as %s", text,
                           row->initial);
    if (limit.per_second > 0 && limit.burst < 1)
        return config_fail(loader, row,
                           "\"%.128s\" would let nobody do anything: in N:BURST, BURST is 1 at "
                           "least (0 is no limit)",
                           text);
    *(struct rate_limit *)config_field(loader->config, row) = limit;
    return 0;
}

int config_set_value(struct config_loader *loader, const struct config_row *row, const char *text)
{
    static int (*const setters[])(struct config_loader *, const struct config_row *,
                                  const char *) = {
        [CONFIG_STRING] = set_string, [CONFIG_LIST] = set_list, [CONFIG_BOOL] = set_bool,
        [CONFIG_COUNT] = set_count,   [CONFIG_AUTO] = set_auto, [CONFIG_CHOICE] = set_choice,
        [CONFIG_RATE] = set_rate,     [CONFIG_MODE] = set_mode,
    };
    if (setters[row->type](loader, row, text) != 0)
        return -1;
    loader->places[row - config_table] = loader->here;
    return 0;
}
