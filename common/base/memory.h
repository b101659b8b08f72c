/* memory: small fixed allocations that abort on failure, so that no caller carries an error path
 * that nobody can test. Sizes that a peer controls are bounded by a setting before they come here.
 */
#ifndef YUKIZURI_BASE_MEMORY_H
#define YUKIZURI_BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory, never NULL; the caller frees it with free(). */
void *memory_new(size_t size);

/* Like realloc(3), but aborts on failure; `count * size` is checked for overflow. */
void *memory_resize(void *old, size_t count, size_t size);

/* A copy of the `len` bytes at `data` with a NUL after them; the caller frees it. */
char *memory_copy(const char *data, size_t len);

/* A copy of the string; NULL stays NULL. The caller frees it. */
char *memory_copy_string(const char *string);

/* Gives free memory back to the system. Takes a millisecond or some. */
void memory_give_back(void);

/* The same, but only when there is much more of it than after the time before: over a megabyte, and
 * an eighth of what is in use. (What was used and freed again in between does not show.) */
void memory_tidy(void);

#endif
