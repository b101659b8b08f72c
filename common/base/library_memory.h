/* library_memory: gives jansson, libevent and OpenSSL memory that does not fail, as base/memory.h
 * is for the program's own: where there is none left the process ends. By themselves they report
 * most failures, but not all: jansson leaves out a character of a string that it has no room for,
 * OpenSSL's first look-ups end in a wild pointer, and a command of ours would be half written to an
 * evbuffer. What wslay, hiredis, zlib and the C library report is looked at where they are called.
 * Owns nothing. */
#ifndef YUKIZURI_BASE_LIBRARY_MEMORY_H
#define YUKIZURI_BASE_LIBRARY_MEMORY_H

#include <stddef.h>

/* libevent's event_set_mem_functions: common/ has no event loop. */
typedef void library_memory_set(void *take(size_t size), void *resize(void *old, size_t size),
                                void release(void *freed));

/* To be called before anything of these libraries is. */
void library_memory_take_over(library_memory_set *set_for_libevent);

#endif
