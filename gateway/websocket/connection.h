/* connection: one WebSocket (RFC 6455) on a bare socket, as its owner sees it: its state, what the
 * poller waits for, how it ends. What goes out is websocket/output.h; what comes in, keepalive and
 * the end itself are websocket/connections.h, where all of them are.
 *
 * Owns: the descriptor; the private bytes, only while there are some; a decoder, only while a frame
 * or a fragmented message is incomplete, or while what was read waits to be decoded. An idle
 * connection is its struct. Does not own its owner, which is its callbacks' argument, nor its
 * source, which has the shared frames.
 *
 * Lifetime: nobody frees a connection. connection_close and connection_abort mark it; the reaper,
 * at the end of an iteration of the loop (a later one when many end at once), calls on_closed once
 * and frees it. After either call on_message is not called any more. Callbacks may call anything
 * here.
 *
 * Whoever is closed for reading too slowly (CONNECTION_TOO_SLOW) has longer than others to take the
 * close frame: it may read on, and shall see why it was closed. What is queued for it by then is
 * what it has begun to get and the private bytes, which are bounded.
 *
 * Does not know what a message means, nor that there are rooms. */
#ifndef YUKIZURI_WEBSOCKET_CONNECTION_H
#define YUKIZURI_WEBSOCKET_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

enum { CONNECTION_TOO_SLOW = 4408 }; /* a close code */

/* What ended a connection. */
enum connection_cause {
    CONNECTION_OPEN,      /* nothing yet */
    CONNECTION_LEFT,      /* the peer's close frame */
    CONNECTION_CLOSED,    /* connection_close, also for breaking the protocol */
    CONNECTION_CUT,       /* the socket: it ended, or broke, without a close frame */
    CONNECTION_SILENT,    /* not a byte came for ping + 10 seconds */
    CONNECTION_UNWATCHED, /* the kernel had no memory to watch its socket */
    CONNECTION_IN_PIECES, /* a message in too many fragments */
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
    /* So many bytes have come, whatever they are; what they mean is told after this. Where messages
     * may be compressed, each is told of once more, with the length that it has in the end. NULL:
     * not told. */
    void (*on_bytes)(void *owner, size_t len);
};

/* Where a connection's shared frames come from. */
struct connection_source {
    /* The connection is dirty: it has bytes of its own to send, or its socket is full, or it ends.
     * From here on the source writes to it in `pump` alone, until nothing of that is left. */
    void (*on_pending_output)(void *arg, struct connection *connection);
    /* Writes what there is, through connection_write; called at the end of the iteration in which
     * the connection became dirty, and when its socket can take more. */
    void (*pump)(void *arg, struct connection *connection);
};

/* --- For the owner; none of these calls the owner back --- */

/* From here on `owner` is handed to the callbacks. */
void connection_set_owner(struct connection *connection, void *owner);

/* Stops and resumes reading from the peer: TCP's flow control then slows it down. What has been
 * read already is still delivered. */
void connection_pause_reading(struct connection *connection, bool paused);

/* Messages are compressed in both directions from here on (permessage-deflate, RFC 7692): it was
 * negotiated. Before the connection has a source; connections_enable_compression was called. */
void connection_set_deflated(struct connection *connection);
bool connection_is_deflated(const struct connection *connection);

/* Starts the closing handshake (section 7.1.2) after what is queued. Idempotent. */
void connection_close(struct connection *connection, uint16_t code, const char *reason);

/* Ends the connection without a closing handshake, because nobody is there. Idempotent. */
void connection_abort(struct connection *connection);

/* Was connection_close or connection_abort called, or did the peer close? */
bool connection_is_closing(const struct connection *connection);

/* --- For the source; on_pending_output may be called from any function that says so --- */

/* Gives or takes away (NULL) the source, which must outlive it; `arg` is handed to its functions.
 */
void connection_set_source(struct connection *connection, const struct connection_source *source,
                           void *arg);

/* Lets the source write at the end of this iteration. Calls on_pending_output. */
void connection_mark_dirty(struct connection *connection);

/* The socket, for a source that writes shared frames to many connections by itself: only between a
 * pump that left nothing behind and the next on_pending_output. What it could not write it tells by
 * connection_block: the socket is full, and pump is called when it can take more. That calls
 * on_pending_output. */
int connection_fd(const struct connection *connection);
void connection_block(struct connection *connection);

/* Does it wait for the socket to take more? */
bool connection_is_blocked(const struct connection *connection);

/* A number that the source keeps here: where in its array this connection is. */
void connection_set_slot(struct connection *connection, uint32_t slot);
uint32_t connection_slot(const struct connection *connection);

/* --- Within websocket/ --- */

/* Do so many private bytes wait that nothing more is taken from the peer? Asked before each of its
 * messages: whatever one read brings, what waits grows by one answer beyond the bound. */
bool connection_is_full(const struct connection *connection);

/* Sets what the poller waits for. Nothing is read from a peer that does not take what is queued for
 * it, nor while reading is paused. Aborts the connection when the kernel has no memory for that. */
void connection_update_watch(struct connection *connection);

/* Closes a peer that takes too little of its private bytes, because of max_unsent. */
void connection_close_slow(struct connection *connection);

/* No frame follows; the connection ends when the peer's part of the closing handshake has come, or
 * after a while. */
void connection_begin_closing(struct connection *connection, enum connection_cause cause,
                              uint16_t code);

/* connection_close and connection_abort, with a cause of its own, should there be none yet. */
void connection_close_for(struct connection *connection, enum connection_cause cause, uint16_t code,
                          const char *reason);
void connection_abort_for(struct connection *connection, enum connection_cause cause);

#endif
