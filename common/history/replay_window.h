/* past: what of a room's past can still be shown to somebody who comes back, and how many messages
 * cannot. Beside the log of frames (history/room_log.h), whose positions it is told, it knows which
 * numbers were forgotten with the frames, and which passed unseen (a hole). Numbers are those of
 * one epoch.
 */
#ifndef YUKIZURI_HISTORY_REPLAY_WINDOW_H
#define YUKIZURI_HISTORY_REPLAY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct past;

struct past *past_new(void);
void past_free(struct past *past);

/* Numbers begin after `seq`, with the frame at `position` of the log. */
void past_begin(struct past *past, uint64_t seq, uint64_t position);

/* Numbers above `seq` were of another history, and will be given again: from `position` of the log
 * on. What is before it and was of them is not replayed (room_log_fork). */
void past_fork(struct past *past, uint64_t seq, uint64_t position);

/* The next event. */
void past_note(struct past *past, uint64_t seq, bool message);

/* The frame at `position`, of the event `seq`, falls off the log. True when that number was not
 * known to be forgotten before. */
bool past_forget(struct past *past, uint64_t seq, uint64_t position);

/* Numbers that passed unseen: those after `after`, up to `seq`. */
struct past_hole {
    uint64_t after, seq;
    uint64_t messages; /* so many of them were messages */
    uint64_t position; /* in the log, where their frames would be */
};

/* What is before a hole may still be replayed; of two holes the first is forgotten, with what is
 * before it. */
void past_skip(struct past *past, const struct past_hole *hole);

/* How many messages who has seen everything up to `since` cannot be shown any more. */
uint64_t past_missed(const struct past *past, uint64_t since);

/* How many messages have a number above `since`, up to `upto`. */
uint64_t past_messages(const struct past *past, uint64_t since, uint64_t upto);

/* The position in the log from which replaying may begin. */
uint64_t past_start(const struct past *past);

#endif
