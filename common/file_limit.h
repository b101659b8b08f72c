/* file_limit: how many files, and so sockets, this process may have open. */
#ifndef YUKIZURI_FILE_LIMIT_H
#define YUKIZURI_FILE_LIMIT_H

#include <stdint.h>

/* Raises the limit to its hard bound. Returns it; when it is not known, what every system allows.
 */
uint64_t file_limit_raise(void);

#endif
