/* connection: one WebSocket (RFC 6455) on a bare socket: a decoder (websocket/decoder.h, the only
 * user of wslay) takes bytes in, a small private buffer and a log of shared frames go out.
 *
 * Owns: the descriptor; the private buffer, only while there is something in it; a decoder,
 * borrowed from the pool only while a frame or a fragmented message is incomplete. An idle
 * connection is this struct. The log of frames is its source's, the owner its callbacks' argument.
 *
 * Life: nobody frees a connection. connection_close and connection_abort mark it; the reaper, at
 * the end of a turn of the loop (a later one when many die at once), calls on_closed once and frees
 * it. After either call on_message is not called any more. Callbacks may call anything here.
 *
 * Whoever is closed for reading too slowly (CONNECTION_TOO_SLOW) has longer than others to take the
 * close frame: it may read on, and shall see why it was closed. What is queued for it by then is
 * what it has begun to get and the private bytes, which are bounded.
 *
 * Does not know what a message means, nor that there are rooms: whoever has frames for many members
 * hands over a source (below) and writes through connection_write. */
#ifndef YUKIZURI_WEBSOCKET_CONNECTION_H
#define YUKIZURI_WEBSOCKET_CONNECTION_H

#include "protocol/frame.h"
#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct event_base;
struct poller;
struct connection;
struct connections;

enum { CONNECTION_TOO_SLOW = 4408 }; /* a close code */

/* What ended a connection. */
enum connection_cause {
    CONNECTION_OPEN,      /* nothing yet */
    CONNECTION_LEFT,      /* the peer's close frame */
    CONNECTION_CLOSED,    /* connection_close, also for breaking the protocol */
    CONNECTION_CUT,       /* the socket: it ended, or broke, without a close frame */
    CONNECTION_SILENT,    /* not a byte came for ping + 10 seconds */
    CONNECTION_UNWATCHED, /* the kernel had no room to watch its socket */
};

struct connection_end {
    enum connection_cause cause;
    uint16_t code; /* the close code that was sent or received first; 1006 if none was */
    size_t queued; /* bytes that the peer has not got: the connection's own, and the kernel's */
};

struct connection_callbacks {
    /* A whole message. The bytes are valid during the call. */
    void (*on_message)(void *owner, bool text, const uint8_t *data, size_t len);
    /* A ping, or a pong, asked for or not. Returns whether the ping is to be answered. NULL: every
     * ping is. */
    bool (*on_control)(void *owner, bool ping, const uint8_t *data, size_t len);
    /* The connection ends; it is freed when this returns. */
    void (*on_closed)(void *owner, const struct connection_end *end);
};

/* Where a connection's shared frames come from. */
struct connection_source {
    /* From here on the connection has bytes of its own to send, or it ends: the source writes to it
     * in `pump` alone, until nothing of that is left. */
    void (*on_stirred)(void *arg, struct connection *connection);
    /* Writes what there is, through connection_write; called at the end of the turn in which the
     * connection was stirred, and when its socket can take more. */
    void (*pump)(void *arg, struct connection *connection);
};

struct connections_options {
    struct event_base *base;
    struct poller *poller;
    struct metrics *metrics;
    struct refusals *refusals; /* NULL: nothing is noted */
    unsigned ping_s;
    size_t max_message; /* bytes; 0: no limit but memory's */
};

/* All connections of this gateway: the scratch buffer, the wheel that pings and reaps, the reaper.
 */
struct connections *connections_new(const struct connections_options *options);

/* Closes and frees everything, without on_closed. */
void connections_free(struct connections *all);
size_t connections_count(const struct connections *all);

/* Are there some who are dead and not reaped yet, for want of time? */
bool connections_are_dying(const struct connections *all);

/* Takes over a socket that has been upgraded, and closes it in the end. The owner, who stays the
 * caller's, is told by `callbacks`, which must outlive the connection. The connection belongs to
 * `all`: the pointer is good until on_closed returns. */
struct connection *connection_new(struct connections *all, int fd,
                                  const struct connection_callbacks *callbacks, void *owner);

/* From here on `owner` is handed to the callbacks. */
void connection_set_owner(struct connection *connection, void *owner);

/* Handles bytes that arrived together with the handshake. */
void connection_feed(struct connection *connection, const uint8_t *data, size_t len);

/* Gives or takes away (NULL) the source of shared frames, which must outlive it; `arg` is handed to
 * its functions. */
void connection_set_source(struct connection *connection, const struct connection_source *source,
                           void *arg);

/* Queues bytes as they are (the 101 response). */
void connection_send_raw(struct connection *connection, const void *data, size_t len);

/* Queues a frame for this connection alone. Nothing happens when it is closing. */
void connection_send(struct connection *connection, enum frame_opcode opcode, const void *data,
                     size_t len);

/* Stops and resumes reading from the peer: whoever cannot keep up lets TCP say so. What has been
 * read already is still delivered. */
void connection_hold(struct connection *connection, bool hold);

/* Starts the closing handshake (section 7.1.2) after what is queued. Idempotent. */
void connection_close(struct connection *connection, uint16_t code, const char *reason);

/* Ends the connection without a closing handshake, because nobody is there. Idempotent. */
void connection_abort(struct connection *connection);

/* Was connection_close or connection_abort called, or did the peer close? */
bool connection_is_closing(const struct connection *connection);

/* --- For the source --- */

/* Private bytes that wait; shared frames go out only at frame boundaries around them. */
size_t connection_private_len(const struct connection *connection);

/* Puts bytes before all that waits: the rest of a shared frame that will be dropped from the log.
 */
void connection_send_first(struct connection *connection, const uint8_t *data, size_t len);

/* Writes `before` (the rest of a frame, may be empty), then the private bytes, then `after`, in one
 * system call. Returns how many bytes of `before` and `after` together went out, -1 when the
 * connection died (it is then aborted). A short write arms the wait for writability: the source's
 * pump is called again then. connection_is_blocked tells. */
ssize_t connection_write(struct connection *connection, const struct iovec *before,
                         const struct iovec *after, int after_count);

/* Does it wait for the socket to take more? */
bool connection_is_blocked(const struct connection *connection);

/* Lets its source write at the end of this turn. */
void connection_wake(struct connection *connection);

/* The socket, for a source that writes shared frames to many connections by itself: only between a
 * pump that left nothing behind and the next on_stirred. What it could not write it tells: */
int connection_fd(const struct connection *connection);
void connection_block(struct connection *connection); /* the socket is full: pump comes later */

/* A number that the source keeps here: where in its array this connection is. */
void connection_set_slot(struct connection *connection, uint32_t slot);
uint32_t connection_slot(const struct connection *connection);

#endif
