/* decoder: bytes of a client in, whole messages out; hides wslay's event API and its callbacks.
 * Part of `connections`; nobody else includes it.
 *
 * A decoder is 9.4 KB (wslay's context), so a connection has one only while a frame or a
 * message is incomplete, or bytes wait: decoder_is_idle tells when none of that is so.
 *
 * A message is kept in one buffer, which grows as its bytes arrive: what a peer only announces
 * takes no memory, and neither do many fragments. */
#ifndef YUKIZURI_WEBSOCKET_DECODER_H
#define YUKIZURI_WEBSOCKET_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct decoder;
struct inflater;

struct decoder_callbacks {
    /* May a further frame be decoded? Asked before each; NULL: always. */
    bool (*may_go_on)(void *arg);
    void (*on_message)(void *arg, bool text, const uint8_t *data, size_t len);
    void (*on_close)(void *arg, uint16_t code); /* the peer's close frame */
    /* A ping, which the callee may answer, or a pong. */
    void (*on_control)(void *arg, bool ping, const uint8_t *data, size_t len);
    void (*on_send)(void *arg, const uint8_t *data, size_t len); /* a close frame, or part of it */
};

/* What a message is longer or in more pieces than is refused with 1009; 0: no limit. Only fragments
 * of less than DECODER_SHORT_FRAGMENT bytes count as pieces: whoever sends a long message as it
 * comes to hand may need many, but has no reason for short ones. */
enum { DECODER_SHORT_FRAGMENT = 4096 };
struct decoder_limits {
    uint64_t message_bytes;
    uint64_t fragments;
};

/* The callbacks, which must outlive it, get `arg`. */
struct decoder *decoder_new(const struct decoder_callbacks *callbacks,
                            const struct decoder_limits *limits, void *arg);

/* Messages may be compressed (RFC 7692) from here on. The inflater has the limit of their length,
 * and must outlive the decoder; what it gives is good during on_message. */
void decoder_set_inflater(struct decoder *decoder, struct inflater *inflater);

/* NULL is fine. */
void decoder_free(struct decoder *decoder);

enum decoder_result {
    DECODER_OPEN,     /* go on */
    DECODER_CLOSED,   /* a close frame was received and answered: read no more */
    DECODER_VIOLATED, /* the peer broke the protocol: close with the code, read no more */
};

/* Handles bytes, after those that wait; callbacks run meanwhile. `*code` is the close code unless
 * it is open. The callbacks must not free the decoder. When may_go_on says no, the rest of the
 * bytes waits for a later call, which may bring none. */
enum decoder_result decoder_feed(struct decoder *decoder, const uint8_t *data, size_t len,
                                 uint16_t *code);

/* Do bytes wait because may_go_on said no? */
bool decoder_has_waiting(const struct decoder *decoder);

/* Was the message refused for its fragments, not for its length? */
bool decoder_is_too_fragmented(const struct decoder *decoder);

/* What to tell a peer that is closed with this code for breaking the protocol. */
const char *decoder_reason(uint16_t code);

/* Is no frame and no fragmented message incomplete, and do no bytes wait? */
bool decoder_is_idle(const struct decoder *decoder);

#endif
