/* table: a hash table from byte strings to pointers. It owns neither keys nor values: the key is
 * read from the value by the `key` function given at creation, so a value must not change its key
 * while it is in the table. Hashed with a random seed (peers choose names and room names). */
#ifndef YUKIZURI_BASE_TABLE_H
#define YUKIZURI_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table;

struct table_key {
    const void *data;
    size_t len;
};

typedef struct table_key (*table_key_of)(const void *value);

struct table *table_new(table_key_of key);

/* Frees the table, not its values; NULL is fine. */
void table_free(struct table *table);

size_t table_count(const struct table *table);

/* The value with this key, or NULL. */
void *table_find(const struct table *table, const void *key, size_t len);

/* Adds a value; its key must not be there yet. */
void table_add(struct table *table, void *value);

/* Takes this value out; does nothing when it is not there. */
void table_remove(struct table *table, const void *value);

/* Walks over all values: start with *at = 0, NULL ends. Between the first call and the last nothing
 * may be added or removed, as that moves others from before *at to behind it, or the other way
 * round, and whoever goes on would miss some: asserted. So a walk ends in the iteration of the loop
 * that began it; one that goes on later needs an order of its own (see rooms_rotate). */
void *table_next(const struct table *table, size_t *at);

#endif
