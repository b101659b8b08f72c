/* output: bytes out to one connection: its private bytes, and the shared frames of its source
 * around them. The functions bear the connection's name, which is what they act on.
 *
 * Private bytes (an answer, a welcome, a pong) are the connection's own copy, sent at the end of
 * the loop's iteration, together with the shared frames of that iteration. Owns nothing: the
 * private bytes belong to the connection, shared frames to its source.
 *
 * Each of these may call the source's on_pending_output, none of them the owner. When the socket
 * breaks, the connection is aborted, and the owner told by the reaper. */
#ifndef YUKIZURI_WEBSOCKET_OUTPUT_H
#define YUKIZURI_WEBSOCKET_OUTPUT_H

#include "protocol/frame.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct connection;

/* Queues a frame for this connection alone, compressed if that was negotiated and pays; the payload
 * is copied, or sent at once. A ping or a pong goes before the data frames that wait. Nothing
 * happens when it is closing. */
void connection_send(struct connection *connection, enum frame_opcode opcode, const void *data,
                     size_t len);

/* The same for a text that has a secret in it: never compressed, because then its length would tell
 * whoever has chosen other parts of it what the secret has in common with them (RFC 7692 section 9,
 * RFC 7457 section 2.6). */
void connection_send_secret(struct connection *connection, const void *data, size_t len);

/* Queues a frame's bytes as they are, whole or in consecutive parts. */
void connection_send_raw(struct connection *connection, const void *data, size_t len);

/* --- For the source --- */

/* Puts bytes before all that waits, which no frame interrupts: the rest of a shared frame that will
 * be dropped from the log, or the 101 response. */
void connection_send_first(struct connection *connection, const uint8_t *data, size_t len);

/* Private bytes that wait; shared frames go out only at frame boundaries around them. */
size_t connection_private_len(const struct connection *connection);

/* Writes `before` (the rest of a frame, may be empty), then the private bytes, then `after`, at
 * most OUTPUT_MOST_IOVECS, in one system call. Returns how many bytes of `before` and `after`
 * together went out, -1 when the connection died (it is then aborted). A short write arms the wait
 * for writability: the source's pump is called again then. connection_is_blocked tells. */
enum { OUTPUT_MOST_IOVECS = 64 };
ssize_t connection_write(struct connection *connection, const struct iovec *before,
                         const struct iovec *after, int after_count);

#endif
