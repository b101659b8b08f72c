/* wheel: a timing wheel (Varghese and Lauck, 1987) of one-second slots: any number of items, none
 * with a timer of its own. Items are links (list.h) inside what they belong to; the wheel owns
 * none. No clock: the caller says what time it is. */
#ifndef YUKIZURI_WHEEL_H
#define YUKIZURI_WHEEL_H

#include "list.h"

#include <stdint.h>

struct wheel;

/* A wheel for delays of up to `longest_s` seconds; `now_s` is any clock that does not go back. */
struct wheel *wheel_new(unsigned longest_s, uint32_t now_s);

/* The items stay as they are; NULL is fine. */
void wheel_free(struct wheel *wheel);

uint32_t wheel_now(const struct wheel *wheel);

/* Puts an item where it comes up in `in_s` seconds (at least 1, at most the longest delay), taking
 * it from where it was. */
void wheel_add(struct wheel *wheel, struct link *item, unsigned in_s);

/* Moves on to `now_s` and calls `due` for every item that came up, in its own second (wheel_now);
 * it is then in no slot, and `due` may put it back. */
void wheel_advance(struct wheel *wheel, uint32_t now_s, void (*due)(struct link *item));

/* Some item of the wheel, NULL when there is none. */
struct link *wheel_any(struct wheel *wheel);

#endif
