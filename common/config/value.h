/* config_value: what a text says as the value of a setting, and whether that is a good one. */
#ifndef YUKIZURI_CONFIG_VALUE_H
#define YUKIZURI_CONFIG_VALUE_H

#include "config/internal.h"

/* Gives the row the value that `text` says. 0, or -1 with an error. */
int config_set_value(struct config_loader *loader, const struct config_row *row, const char *text);

/* Are both in one file, or both in the environment or on the command line? */
bool config_is_same_source(const struct config_place *one, const struct config_place *other);

/* Adds a copy of the `len` bytes at `text`. */
void config_list_add(struct config_list *list, const char *text, size_t len);

/* Frees the items; the list is empty again. */
void config_clear_list(struct config_list *list);

#endif
