/* message_count: which of a room's numbers were messages, after the events themselves are
 * forgotten. So that "3 messages passed by unseen" does not count who came and went.
 *
 * One bit for each of the last MESSAGE_COUNT_NUMBERS numbers; no text, no names. */
#ifndef YUKIZURI_HISTORY_MESSAGE_COUNT_H
#define YUKIZURI_HISTORY_MESSAGE_COUNT_H

#include <stdbool.h>
#include <stdint.h>

enum { MESSAGE_COUNT_NUMBERS = 65536 };

struct message_count;

struct message_count *message_count_new(void);
void message_count_free(struct message_count *numbers);

/* Numbers begin after `seq`; what was recorded is forgotten. */
void message_count_begin(struct message_count *numbers, uint64_t seq);

/* Numbers above `seq` will be given again: what is recorded of them is forgotten. */
void message_count_rewind(struct message_count *numbers, uint64_t seq);

/* The event `seq` was a message, or was none. Numbers left out count as messages. */
void message_count_note(struct message_count *numbers, uint64_t seq, bool message);

/* Everything up to `seq` passed unseen, and `messages` of it were messages. */
void message_count_skip(struct message_count *numbers, uint64_t seq, uint64_t messages);

/* How many messages have a number above `after`, up to `upto`. Numbers that are not recorded (any
 * more) count as messages. */
uint64_t message_count_between(const struct message_count *numbers, uint64_t after, uint64_t upto);

#endif
