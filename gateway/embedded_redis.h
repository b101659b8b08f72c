/* embedded_redis: the private redis-server of a single-machine start. It listens on a unix socket
 * in a temporary directory, writes nothing to disk, and ends with the gateway however that ends: a
 * small keeper process waits for the gateway's death, stops the server and removes the directory.
 */
#ifndef YUKIZURI_EMBEDDED_REDIS_H
#define YUKIZURI_EMBEDDED_REDIS_H

#include "redis_url.h"

#include <stddef.h>

struct embedded_redis;

/* Starts it and fills `url`. NULL with a sentence in `error` when redis-server cannot be started.
 */
struct embedded_redis *embedded_redis_start(struct redis_url *url, char *error, size_t error_size);

/* Stops the server, waits for its end, removes the directory. NULL is fine. */
void embedded_redis_stop(struct embedded_redis *redis);

/* Frees the handle in a process that was forked off: the server lives as long as that process does,
 * and it is not for it to stop. NULL is fine. */
void embedded_redis_forget(struct embedded_redis *redis);

#endif
