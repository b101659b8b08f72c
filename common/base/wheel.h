/* wheel: a timing wheel (Varghese and Lauck, 1987): any number of items, none with a timer of its
 * own. Its slots are ticks, as long as the caller likes. Items are links (base/list.h) inside what
 * they belong to; the wheel owns none. No clock: the caller says what time it is. */
#ifndef YUKIZURI_BASE_WHEEL_H
#define YUKIZURI_BASE_WHEEL_H

#include "base/list.h"

#include <stdint.h>

struct wheel;

/* A wheel for delays of up to `longest` ticks; `now` is any clock of ticks that does not go back.
 */
struct wheel *wheel_new(unsigned longest, uint32_t now);

/* The items stay as they are; NULL is fine. */
void wheel_free(struct wheel *wheel);

uint32_t wheel_now(const struct wheel *wheel);

/* Puts an item where it comes up in so many ticks (at least 1, at most the longest delay), taking
 * it from where it was. */
void wheel_add(struct wheel *wheel, struct link *item, unsigned ticks);

/* Moves on to `now` and calls `due` for every item that came up, in its own tick (wheel_now); it is
 * then in no slot, and `due` may add it again. */
void wheel_advance(struct wheel *wheel, uint32_t now, void (*due)(struct link *item));

/* Takes all items off, whenever they were due, and calls `each` for every one of them; it may free
 * the item, and adds none. */
void wheel_empty(struct wheel *wheel, void (*each)(struct link *item));

#endif
