/* memory: small fixed allocations that abort on failure, so that no caller carries an error path
 * that nobody can test. Sizes that a peer controls are bounded by a setting before they come here.
 */
#ifndef YUKIZURI_BASE_MEMORY_H
#define YUKIZURI_BASE_MEMORY_H

#include <stddef.h>

/* Ends the process with a line on stderr: what the functions here do when there is no memory, for
 * what a library reports. */
_Noreturn void memory_run_out(void);

/* Zeroed memory, never NULL; the caller frees it with free(). */
void *memory_new(size_t size);

/* The same, but not zeroed: for those whom malloc(3) would serve. */
void *memory_take(size_t size);

/* Like realloc(3), but aborts on failure; `count * size` is checked for overflow. */
void *memory_resize(void *old, size_t count, size_t size);

/* A copy of the `len` bytes at `data` with a NUL after them; the caller frees it. */
char *memory_copy(const char *data, size_t len);

/* A copy of the string; NULL stays NULL. The caller frees it. */
char *memory_copy_string(const char *string);

/* Gives back to the system what has been free for some seconds. jemalloc looks for it only while
 * memory is taken and freed, so it is called once a second. */
void memory_decay(void);

/* Of the heap, in bytes and calls. */
struct memory_figures {
    size_t allocated; /* by this program, not yet freed */
    size_t active;    /* pages with something allocated in them */
    size_t mapped;    /* from the system, resident or not */
    size_t retained;  /* given back, but for the addresses */
    size_t allocations, frees;
};

/* 0; or -1 where the allocator does not count (a build with sanitizers). */
int memory_read_figures(struct memory_figures *out);

#endif
