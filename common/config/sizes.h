/* config_sizes: do the settings of sizes fit together? */
#ifndef YUKIZURI_CONFIG_SIZES_H
#define YUKIZURI_CONFIG_SIZES_H

#include "config/config.h"

#include <stddef.h>

/* Does a message hold the longest text, however its sayer writes it in JSON? Where max-text is 0,
 * max-message alone bounds a text. (max-message cannot be 0: so much is allocated for a peer.)
 * NULL; or `why`, of `size` bytes, with a sentence about max-message: both numbers, and what to do.
 */
const char *config_judge_sizes(const struct config *config, char *why, size_t size);

#endif
