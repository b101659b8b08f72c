#include "slab.h"

#include "list.h"
#include "memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    BLOCK_BYTES = 65536, /* aligned to its size, so that an object's address tells its block */
    STEP_BYTES = 8,      /* sizes are rounded up to a multiple of it */
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

static uint32_t first_offset(void)
{
    return (sizeof(struct block) + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
}

static bool has_room(const struct block *block)
{
    return block->free != NULL || block->fresh + block->size <= BLOCK_BYTES;
}

/* Twice as much is asked for, and what does not fit the alignment is given back at once. */
static struct block *map_block(void)
{
    char *pages = mmap(NULL, (size_t)2 * BLOCK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        abort(); /* out of memory */
    size_t before = (BLOCK_BYTES - (uintptr_t)pages % BLOCK_BYTES) % BLOCK_BYTES;
    if (before > 0)
        munmap(pages, before);
    munmap(pages + before + BLOCK_BYTES, BLOCK_BYTES - before);
    held += BLOCK_BYTES;
    return (struct block *)(void *)(pages + before);
}

static void unmap_block(struct block *block)
{
    munmap(block, BLOCK_BYTES);
    held -= BLOCK_BYTES;
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
        (struct block *)(void *)((uintptr_t)object & ~(uintptr_t)(BLOCK_BYTES - 1));
    struct class *class = class_of(block->size);
    if (!has_room(block))
        list_add(&class->blocks, &block->in_class);
    memcpy(object, &block->free, sizeof block->free);
    block->free = object;
    block->used--;
    if (block->used == 0)
        retire(class, block);
}

#if defined __SANITIZE_ADDRESS__ && !defined SLAB_UNWATCHED /* which its own test defines */
static const bool is_watched = true;
#else
static const bool is_watched = false;
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
