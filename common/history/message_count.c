#include "history/message_count.h"

#include "base/memory.h"

#include <stdlib.h>

enum { WORD_BITS = 64, SMALLEST_WORDS = 1 };

struct tally {
    uint64_t first, next; /* numbers from first to next - 1 are known */
    uint64_t *words;      /* a ring of bits: number n is bit n modulo the size */
    uint64_t bits;        /* the size; a power of two */
};

struct tally *tally_new(void)
{
    struct tally *tally = memory_new(sizeof *tally);
    tally->bits = (uint64_t)SMALLEST_WORDS * WORD_BITS;
    tally->words = memory_new(SMALLEST_WORDS * sizeof *tally->words);
    tally_begin(tally, 0);
    return tally;
}

void tally_free(struct tally *tally)
{
    if (tally == NULL)
        return;
    free(tally->words);
    free(tally);
}

void tally_begin(struct tally *tally, uint64_t seq)
{
    tally->first = tally->next = seq + 1;
}

void tally_rewind(struct tally *tally, uint64_t seq)
{
    if (seq + 1 < tally->first)
        tally_begin(tally, seq);
    else if (seq + 1 < tally->next)
        tally->next = seq + 1;
}

static uint64_t *word_of(const struct tally *tally, uint64_t number)
{
    return &tally->words[(number & (tally->bits - 1)) / WORD_BITS];
}

static uint64_t bit_of(uint64_t number)
{
    return UINT64_C(1) << (number % WORD_BITS);
}

static void set(struct tally *tally, uint64_t number, bool message)
{
    if (message)
        *word_of(tally, number) |= bit_of(number);
    else
        *word_of(tally, number) &= ~bit_of(number);
}

static bool is_message(const struct tally *tally, uint64_t number)
{
    return (*word_of(tally, number) & bit_of(number)) != 0;
}

static void grow(struct tally *tally)
{
    struct tally bigger = *tally;
    bigger.bits *= 2;
    bigger.words = memory_new(bigger.bits / 8);
    for (uint64_t n = tally->first; n < tally->next; n++)
        set(&bigger, n, is_message(tally, n));
    free(tally->words);
    *tally = bigger;
}

static void add(struct tally *tally, bool message)
{
    if (tally->next - tally->first == tally->bits) {
        if (tally->bits < TALLY_NUMBERS)
            grow(tally);
        else
            tally->first++;
    }
    set(tally, tally->next++, message);
}

void tally_skip(struct tally *tally, uint64_t seq, uint64_t messages)
{
    if (seq < tally->next)
        return;
    if (seq - tally->next >= TALLY_NUMBERS) /* nothing older would be left anyway */
        tally_begin(tally, seq - TALLY_NUMBERS);
    while (tally->next <= seq)
        add(tally, seq - tally->next < messages);
}

void tally_note(struct tally *tally, uint64_t seq, bool message)
{
    if (seq < tally->next)
        return;
    tally_skip(tally, seq - 1, seq);
    add(tally, message);
}

uint64_t tally_between(const struct tally *tally, uint64_t after, uint64_t upto)
{
    uint64_t count = 0;
    uint64_t from = after + 1;
    if (upto <= after)
        return 0;
    if (from < tally->first) {
        uint64_t known = tally->first <= upto ? tally->first : upto + 1;
        count += known - from;
        from = known;
    }
    while (from <= upto && from < tally->next) {
        bool whole = from % WORD_BITS == 0 && from + WORD_BITS <= tally->next &&
                     from + WORD_BITS - 1 <= upto;
        count +=
            whole ? (uint64_t)__builtin_popcountll(*word_of(tally, from)) : is_message(tally, from);
        from += whole ? WORD_BITS : 1;
    }
    return count + (from <= upto ? upto + 1 - from : 0);
}
