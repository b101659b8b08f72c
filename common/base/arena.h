/* arena: memory for pieces that end together: taken one after the other, given back all at once.
 * Owns all of it; keeps one block for the next time. */
#ifndef YUKIZURI_BASE_ARENA_H
#define YUKIZURI_BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);

/* NULL is fine. */
void arena_free(struct arena *arena);

/* A piece, aligned for anything, not zeroed; it lives until arena_clear. */
void *arena_take(struct arena *arena, size_t size);

/* Ends all pieces. */
void arena_clear(struct arena *arena);

#endif
