/* config_value: what a text says as the value of a setting, and whether that is a good one. */
#ifndef YUKIZURI_CONFIG_VALUE_H
#define YUKIZURI_CONFIG_VALUE_H

#include "config/internal.h"

/* Gives the row the value that `text` says. 0, or -1 with an error. */
int config_set_value(struct config_loader *loader, const struct config_row *row, const char *text);

/* Frees the items; the list is empty again. */
void config_clear_list(struct config_list *list);

#endif
