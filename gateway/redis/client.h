/* redis: what Redis is asked. A command goes over the connection to the server that has its key:
 * the first word after the command's name, of a script its first key.
 *
 * It does not know what the commands mean. Callbacks run from the event loop only, never from
 * within the call that caused them, but for redis_stop, after which the loop does not run any more;
 * a callback may send commands, or drop the connection, but not free it. */
#ifndef YUKIZURI_REDIS_CLIENT_H
#define YUKIZURI_REDIS_CLIENT_H

#include "redis/connection.h"

struct redis;

/* Starts to connect, and goes on trying for ever. */
struct redis *redis_new(const struct redis_options *options,
                        const struct redis_callbacks *callbacks, void *arg);

/* Closes it for good; waiting commands get their callback without a reply, from within. on_lost is
 * not called. */
void redis_stop(struct redis *redis);

/* Stops and frees it. NULL is fine. */
void redis_free(struct redis *redis);

/* As the functions of redis_connection. */
bool redis_is_ready(const struct redis *redis);
const struct redis_server *redis_server(const struct redis *redis);
int64_t redis_last_rx_ms(const struct redis *redis);
void redis_reset_backoff(struct redis *redis);
void redis_reconnect(struct redis *redis, const char *why);
void redis_move(struct redis *redis, const char *why);
void redis_hold(struct redis *redis);
bool redis_release(struct redis *redis);
void redis_flush(struct redis *redis);
void redis_mark_optional(struct redis *redis);

/* Sends a command, with redis_flush; the words stay the caller's. 0; or -1 when there is no
 * connection: `done` is then never called. `done` may be NULL. The deadline is REDIS_DEADLINE_MS.
 */
int redis_send(struct redis *redis, const struct redis_words *words, redis_done done, void *arg);

/* `done` is called without a reply at the loop's next iteration, after all who have waited longer:
 * for what was promised an answer and found no connection. */
void redis_fail(struct redis *redis, redis_done done, void *arg);

/* redis_send of a NULL-terminated list of strings. */
int redis_send_strings(struct redis *redis, redis_done done, void *arg, const char *first, ...)
    __attribute__((sentinel));

#endif
