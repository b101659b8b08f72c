#include "base/slab.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/watched.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LEAST_BLOCK_BYTES = 65536,
    STEP_BYTES = 8, /* sizes are rounded up to a multiple of it */
    CLASSES = SLAB_MOST / STEP_BYTES,
};

/* A piece of pages with objects of one size behind this head. */
struct block {
    struct link in_class; /* while it has room */
    uint32_t size;        /* of an object */
    uint32_t used;        /* objects that are taken */
    uint32_t fresh;       /* offset of what was never taken yet: its pages are not touched */
    void *free;           /* given back: each begins with a pointer to the next */
};

/* By size: the blocks with room, and one that is empty, lest a block comes and goes with each
 * object on its border. */
struct class
{
    struct link blocks;
    struct block *spare;
};

static struct class classes[CLASSES];
static size_t held;

/* A power of two, and of whole pages, which are 4 KB on most machines and up to 256 KB on some.
 * Blocks are aligned to it, so that an object's address tells its block. 0 before the first one. */
static size_t block_bytes;

static uint32_t first_offset(void)
{
    return (sizeof(struct block) + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
}

static bool has_room(const struct block *block)
{
    return block->free != NULL || block->fresh + block->size <= block_bytes;
}

static size_t find_block_bytes(void)
{
    long page = sysconf(_SC_PAGESIZE);
    return page > LEAST_BLOCK_BYTES ? (size_t)page : LEAST_BLOCK_BYTES;
}

/* Twice as much is asked for, and what does not fit the alignment is given back at once. */
static struct block *map_block(void)
{
    if (block_bytes == 0)
        block_bytes = find_block_bytes();
    char *pages =
        mmap(NULL, 2 * block_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        abort(); /* out of memory */
    size_t before = (block_bytes - (uintptr_t)pages % block_bytes) % block_bytes;
    if (before > 0)
        munmap(pages, before);
    munmap(pages + before + block_bytes, block_bytes - before);
    held += block_bytes;
    return (struct block *)(void *)(pages + before);
}

static void unmap_block(struct block *block)
{
    munmap(block, block_bytes);
    held -= block_bytes;
}

static struct class *class_of(size_t size)
{
    struct class *class = &classes[(size - 1) / STEP_BYTES];
    if (class->blocks.next == NULL)
        list_init(&class->blocks);
    return class;
}

static struct block *block_with_room(struct class *class, uint32_t size)
{
    if (!list_is_empty(&class->blocks))
        return LIST_ITEM(class->blocks.next, struct block, in_class);
    struct block *block = class->spare;
    class->spare = NULL;
    if (block == NULL) {
        block = map_block();
        block->size = size;
        block->fresh = first_offset();
    }
    list_init(&block->in_class);
    list_add(&class->blocks, &block->in_class);
    return block;
}

static void *take(struct block *block)
{
    void *object = block->free;
    block->used++;
    if (object == NULL) {
        object = (char *)block + block->fresh;
        block->fresh += block->size;
        return object; /* new pages are zeroed */
    }
    memcpy(&block->free, object, sizeof block->free);
    memset(object, 0, block->size);
    return object;
}

static void retire(struct class *class, struct block *block)
{
    list_remove(&block->in_class);
    if (class->spare == NULL)
        class->spare = block;
    else
        unmap_block(block);
}

static void *new_object(size_t size)
{
    assert(size > 0 && size <= SLAB_MOST);
    struct class *class = class_of(size);
    struct block *block =
        block_with_room(class, (uint32_t)((size + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES));
    void *object = take(block);
    if (!has_room(block))
        list_remove(&block->in_class);
    return object;
}

static void free_object(void *object)
{
    struct block *block =
        (struct block *)(void *)((uintptr_t)object & ~(uintptr_t)(block_bytes - 1));
    struct class *class = class_of(block->size);
    if (!has_room(block))
        list_add(&class->blocks, &block->in_class);
    memcpy(object, &block->free, sizeof block->free);
    block->free = object;
    block->used--;
    if (block->used == 0)
        retire(class, block);
}

#ifdef SLAB_UNWATCHED /* which its own test defines */
static const bool is_watched = false;
#else
static const bool is_watched = IS_WATCHED;
#endif

void *slab_new(size_t size)
{
    return is_watched ? memory_new(size) : new_object(size);
}

void slab_free(void *object)
{
    if (is_watched)
        free(object);
    else if (object != NULL)
        free_object(object);
}

void slab_trim(void)
{
    for (size_t i = 0; i < CLASSES; i++) {
        if (classes[i].spare != NULL)
            unmap_block(classes[i].spare);
        classes[i].spare = NULL;
    }
}

size_t slab_held(void)
{
    return held;
}
