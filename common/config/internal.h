/* config_internal: what the parts of config share. Nobody else includes it. */
#ifndef YUKIZURI_CONFIG_INTERNAL_H
#define YUKIZURI_CONFIG_INTERNAL_H

#include "config/config.h"

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

/* Where a value came from; a later source takes the place of an earlier one. */
enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_COMMAND_LINE
};

struct config_place {
    enum config_source source;
    const char *path; /* of the file; else NULL */
    int line;         /* of the file; else 0 */
};

struct config_loader {
    struct config *config;
    struct config_result result;
    struct config_list drop_ins;                  /* the paths of the files in FILE.d */
    struct config_place here;                     /* what is being read */
    struct config_place places[CONFIG_MOST_ROWS]; /* where each row has its value from */
};

#endif
