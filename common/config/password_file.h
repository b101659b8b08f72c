/* password_file: a password that stands alone in a file. Never cut, never guessed: a file with
 * anything else in it is refused. Says nothing of what is in it. */
#ifndef YUKIZURI_CONFIG_PASSWORD_FILE_H
#define YUKIZURI_CONFIG_PASSWORD_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum { PASSWORD_BYTES = 256 }; /* the longest, with the NUL */

/* Reads the file's only line; its end, LF or CRLF, may be missing. `again`: it was read before, so
 * what cannot be read twice (a pipe), and might make whoever reads wait, is refused. 0; or -1 with
 * a sentence in `error`, which names the file, and `out` untouched. */
int password_file_read(const char *path, bool again, char out[PASSWORD_BYTES], char *error,
                       size_t error_size);

#endif
