/* config_error: what is wrong with the settings, each in a line that says where the value stands.
 */
#ifndef YUKIZURI_CONFIG_ERROR_H
#define YUKIZURI_CONFIG_ERROR_H

#include "config/internal.h"

/* The sentence behind the row's name, and where that stands (`here`); `row` NULL: behind the line
 * alone. One line, whatever is printed into it. Returns -1. */
int config_fail(struct config_loader *loader, const struct config_row *row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same of what is no mistake for certain. */
void config_warn(struct config_loader *loader, const struct config_row *row, const char *format,
                 ...) __attribute__((format(printf, 3, 4)));

/* Fails: nothing has that name (`len` characters of it). Says which setting may be meant. */
int config_fail_unknown(struct config_loader *loader, const char *name, size_t len);

#endif
