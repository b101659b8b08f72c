/* number: what counts as a number of a room (seq, count) or a time in ms, when Redis or a peer says
 * it. Lua and browsers count exactly below 2^53, prelude.lua's is_count allows half of that, and
 * sums and differences of some of them fit into 64 bits. Whoever reads one from outside asks here.
 */
#ifndef YUKIZURI_BASE_NUMBER_H
#define YUKIZURI_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#define NUMBER_END ((int64_t)1 << 52)

static inline bool number_is_good(int64_t number)
{
    return number >= 0 && number < NUMBER_END;
}

/* How much later `now` is than `then`; 0 when it is not later. */
static inline int64_t number_since(uint64_t now, uint64_t then)
{
    return now > then ? (int64_t)(now - then) : 0;
}

#endif
