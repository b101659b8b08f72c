/* replay_window: which of a room's events can still be replayed to somebody who comes back, and how
 * many messages cannot. It does not see the log of frames (history/room_log.h), only its positions:
 * it records which numbers were forgotten with the frames, and which passed unseen (a hole).
 * Numbers are those of one epoch. */
#ifndef YUKIZURI_HISTORY_REPLAY_WINDOW_H
#define YUKIZURI_HISTORY_REPLAY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct replay_window;

struct replay_window *replay_window_new(void);
void replay_window_free(struct replay_window *window);

/* Numbers begin after `seq`, with the frame at `position` of the log. */
void replay_window_begin(struct replay_window *window, uint64_t seq, uint64_t position);

/* The same; nothing up to `seq` was a message. */
void replay_window_begin_silent(struct replay_window *window, uint64_t seq, uint64_t position);

/* Numbers above `seq` were of another history, and will be given again: from `position` of the log
 * on. What is before it and was of them is not replayed (room_log_fork). */
void replay_window_fork(struct replay_window *window, uint64_t seq, uint64_t position);

/* The next event. */
void replay_window_note(struct replay_window *window, uint64_t seq, bool message);

/* The frame at `position`, of the event `seq`, falls off the log. True when that number was not
 * forgotten before. */
bool replay_window_forget(struct replay_window *window, uint64_t seq, uint64_t position);

/* Numbers that passed unseen: those after `after`, up to `seq`. */
struct replay_hole {
    uint64_t after, seq;
    uint64_t messages; /* so many of them were messages */
    uint64_t position; /* in the log, where their frames would be */
};

/* What is before a hole may still be replayed; of two holes the first is forgotten, with what is
 * before it. */
void replay_window_skip(struct replay_window *window, const struct replay_hole *hole);

/* How many messages who has seen everything up to `since` cannot be replayed any more. */
uint64_t replay_window_missed(const struct replay_window *window, uint64_t since);

/* How many messages have a number above `since`, up to `upto`. */
uint64_t replay_window_messages(const struct replay_window *window, uint64_t since, uint64_t upto);

/* The position in the log from which replaying may begin. */
uint64_t replay_window_start(const struct replay_window *window);

#endif
