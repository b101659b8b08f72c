/* config_table: the rows of the settings table; for the parts of config alone. */
#ifndef YUKIZURI_CONFIG_TABLE_H
#define YUKIZURI_CONFIG_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_STRING,
    CONFIG_LIST, /* may be given more than once */
    CONFIG_BOOL,
    CONFIG_COUNT,
    CONFIG_AUTO,   /* a count, or the word auto, which is 0 */
    CONFIG_CHOICE, /* one of the words in `value`, "a|b|c"; kept as its number (unsigned) */
    CONFIG_RATE,   /* PER-SECOND:BURST */
    CONFIG_MODE,   /* of a file, octal (unsigned) */
};

enum { CONFIG_MOST_ROWS = 64 };

struct config_row {
    const char *name;
    enum config_type type;
    size_t offset;       /* in struct config */
    const char *initial; /* default, as a user would write it; NULL: none */
    uint64_t least, most;
    const char *value;   /* what --help calls the value */
    const char *meaning; /* one sentence or two */
};

extern const struct config_row config_table[];
extern const size_t config_table_count;

#endif
