/* room_log: the ring of ready-to-send frames of one room; the thing that members are cursors into.
 *
 * It owns the frames. A position is a count of frames ever appended, so it never repeats; positions
 * in [tail, head) are held. It knows nothing of members: whoever evicts makes sure before that no
 * cursor still needs what goes. No I/O, no clock. */
#ifndef YUKIZURI_HISTORY_ROOM_LOG_H
#define YUKIZURI_HISTORY_ROOM_LOG_H

#include "base/text.h"
#include "protocol/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct room_log;

/* What stands in the log beside the frame itself. A frame may carry several events (coalesced
 * presence): those up to `seq`. A transient frame (notice, typing, gap) has no number of its own:
 * `seq` is that of the last event before it, and it is never replayed. */
struct room_log_mark {
    uint64_t seq;
    int64_t at_ms; /* when it was appended, monotonic */
    bool transient;
};

/* Where a member stands: the next frame to send, and how much of it has gone out. The first
 * `replayed` frames from there on were said before this member was here: the transient ones among
 * them are skipped. Who takes `deflated` frames gets them in that form, and its offset is in it. */
struct room_log_cursor {
    uint64_t position;
    uint32_t offset;
    uint32_t replayed : 31;
    uint32_t deflated : 1;
};

/* An empty log that is meant to hold at most `most` frames (at least 1). */
struct room_log *room_log_new(size_t most);

/* Compresses frames for the cursors that ask for it: there may be such only from here on. It is not
 * the log's, and must outlive it. */
void room_log_set_deflater(struct room_log *log, struct deflater *deflater);

/* Frees the log and its frames; NULL is fine. */
void room_log_free(struct room_log *log);

/* Takes the frame over and appends it. The log grows beyond `most` until somebody evicts: members
 * who have not been served yet must not lose what came in one iteration of the loop. */
void room_log_append(struct room_log *log, struct frame *frame, struct room_log_mark mark);

/* The position before which there are more frames than `most`; the tail when there are not. */
uint64_t room_log_excess(const struct room_log *log);
uint64_t room_log_head(const struct room_log *log); /* the position after the last frame */
uint64_t room_log_tail(const struct room_log *log); /* the position of the oldest frame */

/* The mark of a frame that is held. */
struct room_log_mark room_log_mark(const struct room_log *log, uint64_t position);

/* What came after `seq` was of another history: it is not replayed to those who come back later, as
 * if it were transient. Who is here already gets it in its place. */
void room_log_fork(struct room_log *log, uint64_t seq);

/* None of the frames is replayed any more, as if they were transient. */
void room_log_silence(struct room_log *log);

/* Drops the oldest frame; the log must not be empty. */
void room_log_evict(struct room_log *log);

/* The position, at or after `start`, of the first frame that brings news to somebody who has seen
 * everything up to `seq`: head when there is none. Numbers grow from `start` on. */
uint64_t room_log_find(const struct room_log *log, uint64_t start, uint64_t seq);

/* Bytes of all frames from `position` to the head; none of them counts as compressed. */
uint64_t room_log_bytes_from(const struct room_log *log, uint64_t position);

/* The position after as many frames from `start` on as have `most` bytes together, but at least
 * one; `start` when there is none. */
uint64_t room_log_find_bytes(const struct room_log *log, uint64_t start, size_t most);

/* The bytes of the frames from the cursor's position (whatever its offset) to `end` in a row. They
 * point into the log, valid until the next eviction, or, if they are several frames, into `buffer`,
 * to which they are added: at most room_log_bytes_from. */
const uint8_t *room_log_merge(const struct room_log *log, const struct room_log_cursor *start,
                              uint64_t end, struct text *buffer, size_t *len);

/* Fills at most `most` iovecs with what the cursor has yet to send; returns how many. `*end` is the
 * cursor after all of them. They point into the log: valid until the next eviction. */
int room_log_gather(const struct room_log *log, const struct room_log_cursor *cursor,
                    struct iovec *out, int most, struct room_log_cursor *end);

/* Moves the cursor over `sent` bytes of what room_log_gather gave. */
void room_log_advance(const struct room_log *log, struct room_log_cursor *cursor, size_t sent);

/* The bytes left of the frame that the cursor stands inside of; 0 at a frame boundary. The bytes
 * point into the log. */
size_t room_log_remainder(const struct room_log *log, const struct room_log_cursor *cursor,
                          const uint8_t **bytes);

#endif
