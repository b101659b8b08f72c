/* config_help: the table of settings for people. */
#ifndef YUKIZURI_CONFIG_HELP_H
#define YUKIZURI_CONFIG_HELP_H

#include <stdio.h>

/* Prints the table as "text", "markdown", "man" (a manual page) or "bash" (a completion script). */
void config_print_help(FILE *out, const char *format);

#endif
