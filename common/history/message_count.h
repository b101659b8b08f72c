/* tally: which of a room's numbers were messages, after the events themselves are forgotten. So
 * that "3 messages passed by unseen" does not count who came and went.
 *
 * One bit for each of the last TALLY_NUMBERS numbers; no text, no names. */
#ifndef YUKIZURI_HISTORY_MESSAGE_COUNT_H
#define YUKIZURI_HISTORY_MESSAGE_COUNT_H

#include <stdbool.h>
#include <stdint.h>

enum { TALLY_NUMBERS = 65536 };

struct tally;

struct tally *tally_new(void);
void tally_free(struct tally *tally);

/* Numbers begin after `seq`; what was known is forgotten. */
void tally_begin(struct tally *tally, uint64_t seq);

/* Numbers above `seq` will be given again: what is known of them is forgotten. */
void tally_rewind(struct tally *tally, uint64_t seq);

/* The event `seq` was a message, or was none. Numbers left out count as messages. */
void tally_note(struct tally *tally, uint64_t seq, bool message);

/* Everything up to `seq` passed unseen, and `messages` of it were messages. */
void tally_skip(struct tally *tally, uint64_t seq, uint64_t messages);

/* How many messages have a number above `after`, up to `upto`. Numbers that are not known any more
 * count as messages. */
uint64_t tally_between(const struct tally *tally, uint64_t after, uint64_t upto);

#endif
