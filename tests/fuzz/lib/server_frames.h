/* server_frames: what a server has sent on a WebSocket, read frame by frame (RFC 6455 section 5.2),
 * and judged as a client would (RFC 7692 section 6 where compression was negotiated). */
#ifndef YUKIZURI_FUZZ_SERVER_FRAMES_H
#define YUKIZURI_FUZZ_SERVER_FRAMES_H

#include "protocol/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inflater;

/* Begins as {data, len, inflater}; without an inflater nothing may be compressed. */
struct server_frames {
    const uint8_t *data;
    size_t len;
    struct inflater *inflater;
    bool closed; /* a close frame was read: nothing may follow it */
};

struct server_frame {
    enum frame_opcode opcode;
    const uint8_t *payload; /* inflated; good until the next one is read */
    size_t len;
};

/* The next whole frame; false when there is none, and `data` and `len` are what is left. A frame
 * that no server may send ends the program. */
bool server_frames_next(struct server_frames *frames, struct server_frame *out);

#endif
