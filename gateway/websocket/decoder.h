/* reader: bytes of a client in, whole messages out; wslay's event API behind a small door, so that
 * websocket/connection.c does not carry its callbacks. Part of `connection`; nobody else includes
 * it.
 *
 * A reader is 9.4 KB (wslay's context), so connections borrow one: reader_take before feeding
 * bytes, reader_is_idle tells whether it may go back to the pool. */
#ifndef YUKIZURI_WEBSOCKET_DECODER_H
#define YUKIZURI_WEBSOCKET_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct reader;
struct readers;

struct reader_callbacks {
    void (*on_message)(void *arg, bool text, const uint8_t *data, size_t len);
    void (*on_close)(void *arg, uint16_t code); /* the peer's close frame */
    /* A ping, which the callee may answer, or a pong. */
    void (*on_control)(void *arg, bool ping, const uint8_t *data, size_t len);
    void (*on_send)(void *arg, const uint8_t *data, size_t len); /* a close frame, or part of it */
};

/* A pool of readers for messages of at most `max_message` bytes (0: no limit). */
struct readers *readers_new(const struct reader_callbacks *callbacks, size_t max_message);
void readers_free(struct readers *pool);

/* Takes a reader for `arg`, which the callbacks get. */
struct reader *reader_take(struct readers *pool, void *arg);

/* Gives it back: kept for the next one when idle, else freed. */
void reader_give(struct readers *pool, struct reader *reader);

enum reader_result {
    READER_OPEN,     /* go on */
    READER_CLOSED,   /* a close frame was received and answered: read no more */
    READER_VIOLATED, /* the peer broke the protocol: close with the code, read no more */
};

/* Handles bytes; callbacks run meanwhile. `*code` is the close code unless it is open. The
 * callbacks must not give the reader back. */
enum reader_result reader_feed(struct reader *reader, const uint8_t *data, size_t len,
                               uint16_t *code);

/* What to tell a peer that is closed with this code for breaking the protocol. */
const char *reader_reason(uint16_t code);

/* Is no frame and no fragmented message incomplete? */
bool reader_is_idle(const struct reader *reader);

#endif
