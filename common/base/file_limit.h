/* file_limit: how many files, and so sockets, this process may have open. */
#ifndef YUKIZURI_BASE_FILE_LIMIT_H
#define YUKIZURI_BASE_FILE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILE_LIMIT_RESERVED = 64 }; /* what is no connection: listeners, Redis, the log */

/* Raises the limit to its hard bound. Returns it; when the kernel does not say, what every system
 * allows.
 */
uint64_t file_limit_raise(void);

struct file_limit_wish {
    uint64_t connections; /* 0: as many as go */
    bool given;           /* somebody has asked for so many */
};

/* Is the limit enough? 0; 1 with a sentence in `out` when it is less than is wished, or than any
 * chat is started for (1,000); or -1 with one when nobody could come in at all. */
int file_limit_judge(uint64_t limit, const struct file_limit_wish *wish, char *out, size_t size);

/* The limit as it is. */
uint64_t file_limit_get(void);

/* How many this process has open; when the kernel does not say (before Linux 6.2) and they are too
 * many to be counted while others wait, `at_least`: as many as the caller has opened. */
uint64_t file_limit_in_use(uint64_t at_least);

#endif
