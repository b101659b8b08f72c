/* config_table: what there is to know of each setting: its name, type, default, bounds and meaning.
 * For the parts of config alone. */
#ifndef YUKIZURI_CONFIG_TABLE_H
#define YUKIZURI_CONFIG_TABLE_H

#include "config/internal.h"

#include <stdio.h>

extern const struct config_row config_table[];
extern const size_t config_table_count;

/* The row of that name; NULL when there is none. */
const struct config_row *config_find_row(const char *name, size_t len);

/* The same in any source's spelling: "max-text", "MAX_TEXT", "YUKIZURI_MAX_TEXT", "--max-text". */
const struct config_row *config_guess_row(const char *name, size_t len);

/* Where the row's value lies. */
void *config_field(struct config *config, const struct config_row *row);

/* Prints the name of a setting's environment variable. */
void config_print_variable(FILE *out, const char *name);

#endif
