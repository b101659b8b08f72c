/* list: circular doubly-linked lists through a link inside the item. Owns nothing. A link that is
 * in no list points to itself, so removing it twice is harmless. */
#ifndef YUKIZURI_BASE_LIST_H
#define YUKIZURI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *previous, *next;
};

/* The item of `type` whose member `field` this link is. */
#define LIST_ITEM(link, type, field) ((type *)(void *)((char *)(link)-offsetof(type, field)))

static inline void list_init(struct link *link)
{
    link->previous = link->next = link;
}

static inline bool list_is_empty(const struct link *list)
{
    return list->next == list;
}

static inline void list_remove(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* Removes the first link of a list that is not empty. */
static inline struct link *list_take_first(struct link *list)
{
    struct link *first = list->next;
    list->next = first->next;
    list->next->previous = list;
    list_init(first);
    return first;
}

/* Adds at the end; the link must be in no list. */
static inline void list_add(struct link *list, struct link *link)
{
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

#endif
