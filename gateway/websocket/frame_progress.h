/* frame_progress: how much of a client's current frame the decoder has taken, and how much of the
 * rest is that frame's for sure (RFC 6455 section 5.2). Part of `decoder`; nobody else includes it.
 *
 * Judges nothing: whether a header is good is wslay's to say, which tells of a frame when its
 * header is complete, or, where it has a payload, when the first byte of that has come. */
#ifndef YUKIZURI_WEBSOCKET_FRAME_PROGRESS_H
#define YUKIZURI_WEBSOCKET_FRAME_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_PROGRESS_SHORTEST = 6,    /* two bytes and the mask */
    FRAME_PROGRESS_LENGTH_END = 10, /* where a length of eight bytes ends */
};

/* Begins as zeroes. */
struct frame_progress {
    uint64_t taken; /* bytes of the current frame; 0: between two frames */
    uint64_t len;   /* of the frame, once it is begun; afterwards that of the last one */
    uint8_t header[FRAME_PROGRESS_LENGTH_END]; /* as far as it is taken */
    bool is_begun;                             /* wslay has told of the frame */
    bool is_control;                           /* then: what it is */
};

/* These bytes of the frame, at most as many as are sure, are taken. */
void frame_progress_take(struct frame_progress *frame, const uint8_t *data, size_t len);

/* wslay tells of the frame, and of its end. */
void frame_progress_begin(struct frame_progress *frame, bool is_control, uint64_t payload_len);
void frame_progress_end(struct frame_progress *frame);

/* How many bytes the frame has for sure beside those that are taken: at least 1. */
uint64_t frame_progress_sure_bytes(const struct frame_progress *frame);

/* Is the header taken, but not yet told of? Then the payload's length is what it announces. */
bool frame_progress_is_announced(const struct frame_progress *frame);
uint64_t frame_progress_announced_bytes(const struct frame_progress *frame);

/* Is what is announced a control frame? */
bool frame_progress_announces_control(const struct frame_progress *frame);

#endif
