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

/* As the functions of redis_connection. Of a cluster: it is ready while any node answers, and
 * on_ready is called again whenever a node is there (again); redis_server has a run_id that is
 * another one when any node's is; redis_last_rx_ms and redis_reconnect are about the node for
 * commands that have no key (cluster_options.home_key). */
bool redis_is_ready(const struct redis *redis);
const struct redis_server *redis_server(const struct redis *redis);
int64_t redis_last_rx_ms(const struct redis *redis);
void redis_reset_backoff(struct redis *redis);
void redis_reconnect(struct redis *redis, const char *why);
void redis_move(struct redis *redis, const char *why);
void redis_hold(struct redis *redis);
bool redis_release(struct redis *redis);
bool redis_is_held(const struct redis *redis); /* a cluster's commands never are */
void redis_ask_server(struct redis *redis);    /* does nothing of a cluster */
void redis_flush(struct redis *redis);
void redis_mark_optional(struct redis *redis);

bool redis_is_cluster(const struct redis *redis);

/* Is there a connection to each server that has keys, but for nodes of a cluster that are given up?
 * These have been away for longer than cluster_options.patience_ms. */
bool redis_is_whole(const struct redis *redis);
size_t redis_count_given_up(const struct redis *redis);

/* Sends a command, with redis_flush; the words stay the caller's. 0; or -1 when there is no
 * connection: `done` is then never called. `done` may be NULL. The deadline is REDIS_DEADLINE_MS.
 * In a cluster it waits for the node of its key until then, and follows the key where it moves; -1
 * when too many wait. */
int redis_send(struct redis *redis, const struct redis_words *words, redis_done done, void *arg);

/* The same of a command that has no key of its own: it goes to the server that has `key`. */
int redis_send_beside(struct redis *redis, const char *key, size_t len,
                      const struct redis_words *words, redis_done done, void *arg);

/* Within `done` without a reply: is it certain that no server has carried the command out? In a
 * cluster it is when the command has only waited. */
bool redis_not_carried_out(const struct redis *redis);

/* `done` is called without a reply at the loop's next iteration, after all who have waited longer:
 * for what was promised an answer and found no connection. */
void redis_fail(struct redis *redis, redis_done done, void *arg);

/* redis_send of a NULL-terminated list of strings. */
int redis_send_strings(struct redis *redis, redis_done done, void *arg, const char *first, ...)
    __attribute__((sentinel));

/* --- Where keys are --- */

/* Which of a cluster's nodes has a key, a number that may change; 0 where there is one server. */
size_t redis_node_of(const struct redis *redis, const char *key, size_t len);

/* With which histories the servers go on that this client is connected to: each a space and the
 * first ten letters of its master_replid; a space alone when none is known. Of one server: "".
 * Valid until the next call. */
const char *redis_histories(struct redis *redis);

/* The connection that leads to a key: another number each time that it is made, or that another
 * server has the key; 0: there is none. */
uint64_t redis_place(struct redis *redis, const char *key);

/* Where what on_push is being called with came from. */
uint64_t redis_push_place(const struct redis *redis);

/* Somebody has found that a key is elsewhere: of a cluster the map is asked for anew, soon. */
void redis_look_again(struct redis *redis);

/* redis_send to a place, whatever the key; -1 when it is not there any more. */
int redis_send_at(struct redis *redis, uint64_t place, const struct redis_words *words,
                  redis_done done, void *arg);

/* redis_connection_unsubscribe_sharded there. */
int redis_unsubscribe_sharded_at(struct redis *redis, uint64_t place, const char *channel);

#endif
