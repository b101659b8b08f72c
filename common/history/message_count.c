#include "history/message_count.h"

#include "base/memory.h"

#include <stdlib.h>

enum { WORD_BITS = 64, SMALLEST_WORDS = 1 };

struct message_count {
    uint64_t first, next; /* numbers from first to next - 1 are recorded */
    uint64_t *words;      /* a ring of bits: number n is bit n modulo the size */
    uint64_t bits;        /* the size; a power of two */
};

struct message_count *message_count_new(void)
{
    struct message_count *numbers = memory_new(sizeof *numbers);
    numbers->bits = (uint64_t)SMALLEST_WORDS * WORD_BITS;
    numbers->words = memory_new(SMALLEST_WORDS * sizeof *numbers->words);
    message_count_begin(numbers, 0);
    return numbers;
}

void message_count_free(struct message_count *numbers)
{
    if (numbers == NULL)
        return;
    free(numbers->words);
    free(numbers);
}

void message_count_begin(struct message_count *numbers, uint64_t seq)
{
    numbers->first = numbers->next = seq + 1;
}

void message_count_rewind(struct message_count *numbers, uint64_t seq)
{
    if (seq + 1 < numbers->first)
        message_count_begin(numbers, seq);
    else if (seq + 1 < numbers->next)
        numbers->next = seq + 1;
}

static uint64_t *word_of(const struct message_count *numbers, uint64_t number)
{
    return &numbers->words[(number & (numbers->bits - 1)) / WORD_BITS];
}

static uint64_t bit_of(uint64_t number)
{
    return UINT64_C(1) << (number % WORD_BITS);
}

static void set(struct message_count *numbers, uint64_t number, bool message)
{
    if (message)
        *word_of(numbers, number) |= bit_of(number);
    else
        *word_of(numbers, number) &= ~bit_of(number);
}

static bool is_message(const struct message_count *numbers, uint64_t number)
{
    return (*word_of(numbers, number) & bit_of(number)) != 0;
}

static void grow_ring(struct message_count *numbers)
{
    struct message_count bigger = *numbers;
    bigger.bits *= 2;
    bigger.words = memory_new(bigger.bits / 8);
    for (uint64_t n = numbers->first; n < numbers->next; n++)
        set(&bigger, n, is_message(numbers, n));
    free(numbers->words);
    *numbers = bigger;
}

static void append_number(struct message_count *numbers, bool message)
{
    if (numbers->next - numbers->first == numbers->bits) {
        if (numbers->bits < MESSAGE_COUNT_NUMBERS)
            grow_ring(numbers);
        else
            numbers->first++;
    }
    set(numbers, numbers->next++, message);
}

void message_count_skip(struct message_count *numbers, uint64_t seq, uint64_t messages)
{
    if (seq < numbers->next)
        return;
    if (seq - numbers->next >= MESSAGE_COUNT_NUMBERS) /* nothing older would be left anyway */
        message_count_begin(numbers, seq - MESSAGE_COUNT_NUMBERS);
    while (numbers->next <= seq)
        append_number(numbers, seq - numbers->next < messages);
}

void message_count_note(struct message_count *numbers, uint64_t seq, bool message)
{
    if (seq < numbers->next)
        return;
    message_count_skip(numbers, seq - 1, seq);
    append_number(numbers, message);
}

uint64_t message_count_between(const struct message_count *numbers, uint64_t after, uint64_t upto)
{
    uint64_t count = 0;
    uint64_t from = after + 1;
    if (upto <= after)
        return 0;
    if (from < numbers->first) {
        uint64_t recorded = numbers->first <= upto ? numbers->first : upto + 1;
        count += recorded - from;
        from = recorded;
    }
    while (from <= upto && from < numbers->next) {
        bool whole = from % WORD_BITS == 0 && from + WORD_BITS <= numbers->next &&
                     from + WORD_BITS - 1 <= upto;
        count += whole ? (uint64_t)__builtin_popcountll(*word_of(numbers, from))
                       : is_message(numbers, from);
        from += whole ? WORD_BITS : 1;
    }
    return count + (from <= upto ? upto + 1 - from : 0);
}
