/* config_check: what only all settings together show. */
#ifndef YUKIZURI_CONFIG_CHECK_H
#define YUKIZURI_CONFIG_CHECK_H

#include "config/internal.h"

/* Fills what is derived; refuses, or warns of, settings that contradict each other. 0, or -1 with
 * an error. */
int config_check(struct config_loader *loader);

#endif
