/* frame: a server-to-client WebSocket frame (RFC 6455 section 5.2), header and payload in one
 * allocation, ready to be written to any number of sockets. Never masked, never fragmented. It owns
 * its compressed form (RFC 7692), which is made for the first who asks. */
#ifndef YUKIZURI_PROTOCOL_FRAME_H
#define YUKIZURI_PROTOCOL_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum frame_opcode {
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
    FRAME_DEFLATED = 0x40, /* added to that of a compressed message: RSV1 (RFC 7692 section 6) */
};

enum {
    FRAME_HEADER_BYTES = 10,   /* the longest header that a server sends */
    FRAME_CONTROL_BYTES = 125, /* the longest payload of a control frame (section 5.5) */
};

struct deflater;

struct frame {
    struct frame *deflated; /* itself: it is not compressed; NULL: nobody has asked yet */
    size_t len;             /* of header and payload together */
    uint8_t bytes[];        /* what goes on the wire */
};

/* A text frame with a copy of the payload; the caller frees it with frame_free(). */
struct frame *frame_new_text(const char *payload, size_t len);

/* Frees it and its compressed form. */
void frame_free(struct frame *frame);

/* What those get who negotiated compression: the compressed form, or the frame itself if it does
 * not pay. Which of them is decided by the first call, so that whoever has got a part of it can go
 * on. Both are the frame's. */
const struct frame *frame_deflated(struct frame *frame, struct deflater *deflater);

/* Writes the header of a final frame; returns its length: 2, 4 or 10. */
size_t frame_write_header(uint8_t out[FRAME_HEADER_BYTES], enum frame_opcode opcode, size_t len);

/* The length of the frame whose first bytes these are, header and payload together; `len` when they
 * are less than its header. */
size_t frame_whole_len(const uint8_t *data, size_t len);

/* Writes the payload of a close frame (section 5.5.1), the reason cut to fit at a character's end;
 * returns its length. */
size_t frame_write_close(uint8_t out[FRAME_CONTROL_BYTES], uint16_t code, const char *reason);

#endif
