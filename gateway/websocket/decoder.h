/* decoder: bytes of a client in, whole messages out; hides wslay's event API and its callbacks.
 * Part of `connections`; nobody else includes it.
 *
 * A decoder is 9.4 KB (wslay's context), so a connection has one only while a frame or a
 * message is incomplete: decoder_is_idle tells when it is not. */
#ifndef YUKIZURI_WEBSOCKET_DECODER_H
#define YUKIZURI_WEBSOCKET_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct decoder;

struct decoder_callbacks {
    void (*on_message)(void *arg, bool text, const uint8_t *data, size_t len);
    void (*on_close)(void *arg, uint16_t code); /* the peer's close frame */
    /* A ping, which the callee may answer, or a pong. */
    void (*on_control)(void *arg, bool ping, const uint8_t *data, size_t len);
    void (*on_send)(void *arg, const uint8_t *data, size_t len); /* a close frame, or part of it */
};

/* For messages of at most `max_message` bytes (0: no limit). The callbacks, which must outlive it,
 * get `arg`. */
struct decoder *decoder_new(const struct decoder_callbacks *callbacks, size_t max_message,
                            void *arg);

/* NULL is fine. */
void decoder_free(struct decoder *decoder);

enum decoder_result {
    DECODER_OPEN,     /* go on */
    DECODER_CLOSED,   /* a close frame was received and answered: read no more */
    DECODER_VIOLATED, /* the peer broke the protocol: close with the code, read no more */
};

/* Handles bytes; callbacks run meanwhile. `*code` is the close code unless it is open. The
 * callbacks must not free the decoder. */
enum decoder_result decoder_feed(struct decoder *decoder, const uint8_t *data, size_t len,
                                 uint16_t *code);

/* What to tell a peer that is closed with this code for breaking the protocol. */
const char *decoder_reason(uint16_t code);

/* Is no frame and no fragmented message incomplete? */
bool decoder_is_idle(const struct decoder *decoder);

#endif
