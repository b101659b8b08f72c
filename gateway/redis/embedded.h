/* embedded_redis: the private redis-server of a single-machine start. It listens on a unix socket
 * in a temporary directory, writes nothing to disk, and ends with the gateway however that ends: a
 * small keeper process looks after it. A server that dies is started again on the same socket, with
 * nothing in its memory; so is the keeper. When that happens KEEPER_MOST_DEATHS times within
 * KEEPER_SPAN_MS, it is given up.
 */
#ifndef YUKIZURI_REDIS_EMBEDDED_H
#define YUKIZURI_REDIS_EMBEDDED_H

#include "base/user.h"
#include "config/redis_url.h"

#include <stdbool.h>
#include <stddef.h>

struct embedded_redis;

struct embedded_redis_options {
    const struct user *owner; /* whom the server runs as; NULL: as the caller does */
    bool confined;            /* the caller will not be able to fork: another process shall */
};

/* Starts it and fills `url`. NULL with a sentence in `error` when redis-server cannot be started.
 */
struct embedded_redis *embedded_redis_start(struct redis_url *url,
                                            const struct embedded_redis_options *options,
                                            char *error, size_t error_size);

enum embedded_redis_news {
    EMBEDDED_REDIS_QUIET,
    EMBEDDED_REDIS_RESTARTED,
    EMBEDDED_REDIS_GIVEN_UP /* there will be none any more */
};

/* What has happened since this was asked for the last time; to be asked once a second, in the
 * process that started it. `what` is a sentence, except when it was quiet. Does not wait. NULL is
 * fine, and quiet. */
enum embedded_redis_news embedded_redis_check(struct embedded_redis *redis, char *what,
                                              size_t what_size);

/* Stops the server and removes the directory. Waits for that, for three seconds at most. NULL is
 * fine. */
void embedded_redis_stop(struct embedded_redis *redis);

/* Frees the handle in a process that was forked off: the server lives as long as that process does,
 * and it is not for it to stop. NULL is fine. */
void embedded_redis_forget(struct embedded_redis *redis);

#endif
