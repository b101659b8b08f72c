/* config_internal: what the parts of config share. Nobody else includes it. */
#ifndef YUKIZURI_CONFIG_INTERNAL_H
#define YUKIZURI_CONFIG_INTERNAL_H

#include "config/config.h"
#include "config/table.h"

/* Where a value came from; a later source takes the place of an earlier one. */
enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_COMMAND_LINE
};

struct config_place {
    enum config_source source;
    int line; /* of the file; else 0 */
};

struct config_loader {
    struct config *config;
    struct config_result result;
    const char *path;                             /* of the file; NULL: there is none */
    struct config_place here;                     /* what is being read */
    struct config_place places[CONFIG_MOST_ROWS]; /* where each row has its value from */
};

/* --- config/config.c --- */

const struct config_row *config_find_row(const char *name, size_t len);

/* A row that somebody may have meant who wrote `name`; NULL when there is none. */
const struct config_row *config_guess_row(const char *name, size_t len);

/* Where the row's value lies. */
void *config_field(struct config *config, const struct config_row *row);

/* The sentence behind the row's name, and where that stands (`here`); `row` NULL: behind the line
 * alone. One line, whatever is printed into it. Returns -1. */
int config_fail(struct config_loader *loader, const struct config_row *row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same of what is no mistake for certain. */
void config_warn(struct config_loader *loader, const struct config_row *row, const char *format,
                 ...) __attribute__((format(printf, 3, 4)));

/* --- config/value.c --- */

/* Gives the row the value that `text` says. 0, or -1 with an error. */
int config_set_value(struct config_loader *loader, const struct config_row *row, const char *text);
void config_set_string(char **out, const char *text);
void config_clear_list(struct config_list *list);
void config_add_to_list(struct config_list *list, const char *text, size_t len);

/* --- config/file.c --- */

int config_load_file(struct config_loader *loader, const char *path);

/* --- config/given.c --- */

/* What the command line asks for beside settings (--help and the like): into the result. 0 or -1.
 */
int config_find_action(struct config_loader *loader, int argc, char *const *argv);

/* The path of the file, from the command line or the environment; NULL: none is named. */
const char *config_find_file(int argc, char *const *argv, char *const *environment);

int config_load_environment(struct config_loader *loader, char *const *environment);
int config_load_arguments(struct config_loader *loader, int argc, char *const *argv);

/* --- config/check.c --- */

/* Is that a good value for the row, or a good item of it? 0, or -1 with an error. */
int config_judge(struct config_loader *loader, const struct config_row *row, const char *text);

/* Fills what is derived; tells what only all settings together show. 0, or -1 with an error. */
int config_check(struct config_loader *loader);

#endif
