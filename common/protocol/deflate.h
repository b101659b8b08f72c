/* deflate: messages in the form of permessage-deflate (RFC 7692 section 7.2), each by itself: no
 * context is taken over from one to the next, so that one deflater and one inflater serve all
 * connections of a gateway. The only user of zlib's streams.
 *
 * A deflater owns its stream and the bytes that it has made last, an inflater its own and the last
 * message. No I/O. */
#ifndef YUKIZURI_PROTOCOL_DEFLATE_H
#define YUKIZURI_PROTOCOL_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* Shorter ones get hardly any shorter (docs/decisions/0025-compression.md). */
    DEFLATE_LEAST_BYTES = 200,
    /* A frame that is compressed once has to suit all who get it, so that its window is the
     * smallest that zlib has. */
    DEFLATE_WINDOW_BITS = 9,
    /* What is compressed in one iteration of the loop takes about a millisecond at most. */
    DEFLATE_BUDGET_BYTES = 65536,
};

struct deflater;

/* With a window of 2^`window_bits` bytes, 9 to 15; `*count` is how many messages it has compressed.
 */
struct deflater *deflater_new(int window_bits, uint64_t *count);

/* NULL is fine. */
void deflater_free(struct deflater *deflater);

/* Begins a new iteration: it may compress DEFLATE_BUDGET_BYTES from here on. */
void deflater_refill(struct deflater *deflater);

/* The payload of a compressed message, good until the next call. NULL: it is to be sent as it is,
 * because it is too short, does not get shorter by an eighth, or exceeds what is left for this
 * iteration. */
const uint8_t *deflater_run(struct deflater *deflater, const void *data, size_t len,
                            size_t *out_len);

struct inflater;

enum inflater_error {
    INFLATER_TOO_BIG = -1, /* it has more than the limit */
    INFLATER_BROKEN = -2,  /* it is no whole message, or has too many final blocks */
};

enum { INFLATER_MOST_BYTES = 16777216 }; /* where nobody has set a limit */

/* For messages of at most `most` bytes (0: INFLATER_MOST_BYTES); `*count` is how many it has
 * inflated. */
struct inflater *inflater_new(size_t most, uint64_t *count);

/* NULL is fine. */
void inflater_free(struct inflater *inflater);

/* Inflates the payload of a message, of any window. 0: `*out` is good until the next call. Or an
 * inflater_error, and it has taken no more memory than the limit. */
int inflater_run(struct inflater *inflater, const uint8_t *data, size_t len, const uint8_t **out,
                 size_t *out_len);

#endif
