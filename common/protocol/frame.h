/* frame: a server-to-client WebSocket frame (RFC 6455 section 5.2), header and payload in one
 * allocation, ready to be written to any number of sockets. Never masked, never fragmented. */
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
};

enum {
    FRAME_HEADER_BYTES = 10,   /* the longest header that a server sends */
    FRAME_CONTROL_BYTES = 125, /* the longest payload of a control frame (section 5.5) */
};

struct frame {
    size_t len;      /* of header and payload together */
    uint8_t bytes[]; /* what goes on the wire */
};

/* A text frame with a copy of the payload; the caller frees it with free(). */
struct frame *frame_new_text(const char *payload, size_t len);

/* Writes the header of a final frame; returns its length: 2, 4 or 10. */
size_t frame_write_header(uint8_t out[FRAME_HEADER_BYTES], enum frame_opcode opcode, size_t len);

/* The length of the frame whose first bytes these are, header and payload together; `len` when they
 * are less than its header. */
size_t frame_whole_len(const uint8_t *data, size_t len);

/* Writes the payload of a close frame (section 5.5.1), the reason cut to fit at a character's end;
 * returns its length. */
size_t frame_write_close(uint8_t out[FRAME_CONTROL_BYTES], uint16_t code, const char *reason);

#endif
