#include "base/arena.h"

#include "base/memory.h"
#include "base/watched.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    BLOCK_BYTES = IS_WATCHED ? 0 : 8192, /* 0: a block for each piece */
    ALIGNMENT = alignof(max_align_t),
};

struct block {
    struct block *before;
    size_t used, size;
    alignas(max_align_t) uint8_t bytes[];
};

struct arena {
    struct block *block; /* the one in use */
};

static struct block *new_block(struct block *before, size_t size)
{
    struct block *block = memory_resize(NULL, 1, sizeof *block + size);
    *block = (struct block){before, 0, size};
    return block;
}

struct arena *arena_new(void)
{
    struct arena *arena = memory_new(sizeof *arena);
    arena->block = new_block(NULL, BLOCK_BYTES);
    return arena;
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    arena_clear(arena);
    free(arena->block);
    free(arena);
}

void *arena_take(struct arena *arena, size_t size)
{
    size_t whole = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (whole > arena->block->size - arena->block->used)
        arena->block = new_block(arena->block, whole > BLOCK_BYTES ? whole : BLOCK_BYTES);
    struct block *block = arena->block;
    void *piece = block->bytes + block->used;
    block->used += whole;
    return piece;
}

/* The first block stays. */
void arena_clear(struct arena *arena)
{
    while (arena->block->before != NULL) {
        struct block *before = arena->block->before;
        free(arena->block);
        arena->block = before;
    }
    arena->block->used = 0;
}
