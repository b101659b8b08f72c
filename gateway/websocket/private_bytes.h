/* private_bytes: what waits for one peer alone: frames in their order, and control frames (RFC 6455
 * section 5.5), which overtake them: they go out at the end of the frame that has begun to go out.
 * A close frame is no such control frame: nothing may follow it, so it waits behind the others.
 *
 * Costs nothing while nothing waits: NULL is the empty one, and the pointer changes with every call
 * that takes a `struct private_bytes **`. Bounds nothing: connection.c stops reading from a peer
 * that does not take what waits for it. */
#ifndef YUKIZURI_WEBSOCKET_PRIVATE_BYTES_H
#define YUKIZURI_WEBSOCKET_PRIVATE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct private_bytes;

/* All bytes that wait. */
size_t private_bytes_len(const struct private_bytes *waiting);

/* The bytes that wait for all peers of this process. */
size_t private_bytes_total(void);

/* Adds a frame without a mask, whole or in consecutive parts, behind all others. */
void private_bytes_add(struct private_bytes **waiting, const void *data, size_t len);

/* Adds whole control frames, behind those that wait. */
void private_bytes_add_control(struct private_bytes **waiting, const void *data, size_t len);

/* Puts bytes before all others that no frame may interrupt: the rest of a frame that has begun to
 * go out, or what is no frame. */
void private_bytes_add_first(struct private_bytes **waiting, const void *data, size_t len);

/* Writes where the bytes are, in the order in which they go out; returns how many parts they are.
 * Good until the next change. */
enum { PRIVATE_BYTES_PARTS = 3 };
int private_bytes_gather(struct private_bytes *waiting, struct iovec out[PRIVATE_BYTES_PARTS]);

/* So many bytes of that order went out. */
void private_bytes_drop(struct private_bytes **waiting, size_t len);

/* NULL is fine. */
void private_bytes_free(struct private_bytes *waiting);

#endif
