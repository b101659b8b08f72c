/* Open addressing with linear probing and backward-shift deletion (Knuth, TAOCP 6.4, algorithm R):
 * no tombstones, so a table that came and went is as fast as a new one. */
#include "base/table.h"

#include "base/digest.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct table {
    table_key_of key;
    void **slots;
    size_t size; /* a power of two */
    size_t count;
    uint64_t seed;
    size_t changes; /* additions and removals, to find walks that go on after one */
};

enum { SMALLEST = 16 };

/* A walk's *at has where it goes on in its low bits, and `changes` when it began in the high ones.
 */
enum { WALK_BITS = sizeof(size_t) * 4 };
static const size_t walk_mask = ((size_t)1 << WALK_BITS) - 1;

/* FNV-1a with a random start and a final mix; buckets stay unpredictable to a peer. */
static uint64_t hash_bytes(uint64_t seed, const void *data, size_t len)
{
    const uint8_t *byte = data;
    uint64_t hash = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 32);
}

static size_t home_of(const struct table *table, const void *value)
{
    struct table_key key = table->key(value);
    return hash_bytes(table->seed, key.data, key.len) & (table->size - 1);
}

struct table *table_new(table_key_of key)
{
    struct table *table = memory_new(sizeof *table);
    table->key = key;
    table->size = SMALLEST;
    table->slots = memory_new(SMALLEST * sizeof *table->slots);
    digest_random(&table->seed, sizeof table->seed);
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    free(table->slots);
    free(table);
}

size_t table_count(const struct table *table)
{
    return table->count;
}

void *table_find(const struct table *table, const void *key, size_t len)
{
    size_t mask = table->size - 1;
    size_t at = hash_bytes(table->seed, key, len) & mask;
    for (; table->slots[at] != NULL; at = (at + 1) & mask) {
        struct table_key found = table->key(table->slots[at]);
        if (found.len == len && memcmp(found.data, key, len) == 0)
            return table->slots[at];
    }
    return NULL;
}

static void insert(struct table *table, void *value)
{
    size_t mask = table->size - 1;
    size_t at = home_of(table, value);
    while (table->slots[at] != NULL)
        at = (at + 1) & mask;
    table->slots[at] = value;
}

static void resize_slots(struct table *table, size_t size)
{
    void **old = table->slots;
    size_t old_size = table->size;
    table->slots = memory_new(size * sizeof *table->slots);
    table->size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i] != NULL)
            insert(table, old[i]);
    free(old);
}

void table_add(struct table *table, void *value)
{
    if ((table->count + 1) * 4 > table->size * 3)
        resize_slots(table, table->size * 2);
    insert(table, value);
    table->count++;
    table->changes++;
}

static void close_gap(struct table *table, size_t gap)
{
    size_t mask = table->size - 1;
    for (size_t at = (gap + 1) & mask; table->slots[at] != NULL; at = (at + 1) & mask) {
        size_t home = home_of(table, table->slots[at]);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            table->slots[gap] = table->slots[at];
            gap = at;
        }
    }
    table->slots[gap] = NULL;
}

void table_remove(struct table *table, const void *value)
{
    size_t mask = table->size - 1;
    size_t at = home_of(table, value);
    while (table->slots[at] != NULL && table->slots[at] != value)
        at = (at + 1) & mask;
    if (table->slots[at] == NULL)
        return;
    close_gap(table, at);
    table->count--;
    table->changes++;
    if (table->size > SMALLEST && table->count * 8 < table->size)
        resize_slots(table, table->size / 2);
}

void *table_next(const struct table *table, size_t *at)
{
    size_t changes = table->changes & walk_mask;
    assert(*at == 0 || *at >> WALK_BITS == changes); /* see base/table.h */
    for (size_t index = *at & walk_mask; index < table->size; index++) {
        if (table->slots[index] != NULL) {
            *at = changes << WALK_BITS | (index + 1);
            return table->slots[index];
        }
    }
    return NULL;
}
