/* config_sources: the file, the environment and the command line, read in this order: a later one
 * takes the place of an earlier one. */
#ifndef YUKIZURI_CONFIG_SOURCES_H
#define YUKIZURI_CONFIG_SOURCES_H

#include "config/internal.h"

/* What the command line asks for beside settings (--help and the like): into the result. 0, or -1
 * with an error. */
int config_find_action(struct config_loader *loader, int argc, char *const *argv);

/* Gives every setting the value that its last source says. 0, or -1 with an error. */
int config_load_sources(struct config_loader *loader, int argc, char *const *argv,
                        char *const *environment);

#endif
