/* connections: all WebSockets of this gateway: it reads from them (through websocket/decoder.h),
 * pings them, sends at the end of an iteration what became dirty in it, ends and frees them.
 *
 * Owns: every connection, from connection_new until on_closed has returned; the buffer that all are
 * read into; the deflater and the inflater that all share; the wheel that pings and finds the
 * silent, so that no connection needs a timer.
 *
 * Calls the owners' callbacks (websocket/connection.h) from the event loop, and from
 * connection_feed. Input that is held up because too much waits for its peer is decoded in
 * connections_flush. */
#ifndef YUKIZURI_WEBSOCKET_CONNECTIONS_H
#define YUKIZURI_WEBSOCKET_CONNECTIONS_H

#include "telemetry/metrics.h"
#include "telemetry/refusals.h"
#include "websocket/connection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct poller;
struct connections;

/* None of what is pointed to becomes theirs, and all must outlive them. */
struct connections_options {
    struct event_base *base;
    struct poller *poller;
    struct metrics *metrics;
    struct refusals *refusals; /* NULL: nothing is noted */
    unsigned ping_s;
    size_t max_message;     /* bytes; 0: no limit but memory's */
    uint64_t max_fragments; /* short ones of a message; 0: no limit */
    size_t max_unsent;      /* private bytes of all together; 0: no limit */
};

struct connections *connections_new(const struct connections_options *options);

/* From here on a connection may be compressed (connection_set_deflated). */
void connections_enable_compression(struct connections *all);

/* The deflater of all compressed connections, for the frames that they share; its budget is filled
 * up in connections_flush. NULL: none may be compressed. */
struct deflater *connections_deflater(const struct connections *all);

/* Closes and frees everything, without on_closed; NULL is fine. */
void connections_free(struct connections *all);
size_t connections_count(const struct connections *all);

/* The memory of the private bytes of all. A connection whose socket is full is closed with
 * CONNECTION_TOO_SLOW when it has more of them than is left of max_unsent (a dynamic threshold,
 * Choudhury and Hahne 1998): so the slowest readers go first, and the sum stays below it. Looked at
 * after reading from it, and after writing to it. */
size_t connections_unsent(const struct connections *all);

/* Is half of max_unsent used? Then nobody new shall be taken in, and whoever has any and a full
 * socket when its ping is due is closed as well: many with little each would keep everybody else
 * out for as long as they like. */
bool connections_are_congested(const struct connections *all);

/* At the end of an iteration: sends what became dirty in it, and frees those that have ended, for a
 * millisecond at most: when many are cut off at once, they do not hold up those who stay. Calls
 * the owners' callbacks. */
void connections_flush(struct connections *all);

/* Is there something left for the next connections_flush? */
bool connections_have_more(const struct connections *all);

/* Takes over a socket that has been upgraded, and closes it in the end. The owner, who stays the
 * caller's, is told by `callbacks`, which must outlive the connection. The connection belongs to
 * `all`: the pointer is good until on_closed returns. */
struct connection *connection_new(struct connections *all, int fd,
                                  const struct connection_callbacks *callbacks, void *owner);

/* Handles bytes that arrived together with the handshake. Calls on_message and on_control. */
void connection_feed(struct connection *connection, const uint8_t *data, size_t len);

#endif
