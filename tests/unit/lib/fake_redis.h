/* fake_redis: a scripted Redis for unit tests, on a unix socket, in the thread and the event loop
 * of the test itself. The program connects to it as to any Redis.
 *
 * By itself it answers what a connection begins with (AUTH, SELECT, INFO, CLIENT, PING, CONFIG,
 * TIME, SCRIPT), it lets everybody subscribe, hands on what is published, and brings a probe back.
 * It has a key for the addresses of each day (session/address_key.h), no bans (session/bans.h) and
 * no pressure (session/pressure.h). Every other call waits until the test answers it. As of a real
 * Redis, the answers of one connection go out in the order in which it asked: one that is given
 * early waits for those before.
 *
 * It keeps no data and runs no Lua: what a script would answer, the test says. A mistake of the
 * test, and a deadline that passes (a minute), fail the running test. The program has deadlines of
 * its own for an answer: where a test holds one back, skipping_clock.h keeps them from passing. */
#ifndef YUKIZURI_FAKE_REDIS_H
#define YUKIZURI_FAKE_REDIS_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct fake_redis;
struct fake_redis_call;

/* Listens in a directory of its own under /tmp. The base must outlive it. */
struct fake_redis *fake_redis_new(struct event_base *base);

/* The same on a port of 127.0.0.1, as a node of a cluster needs it. */
struct fake_redis *fake_redis_new_on_port(struct event_base *base);
int fake_redis_port(const struct fake_redis *fake);

/* Closes the connections, frees all calls, removes the directory. NULL is fine. */
void fake_redis_free(struct fake_redis *fake);

/* "unix:PATH", as the setting `redis` takes it; valid as long as the fake. */
const char *fake_redis_url(const struct fake_redis *fake);

/* --- Running the loop; the program's callbacks are called from within --- */

/* From here on `steps` does in each iteration what gateway/loop.h does after waiting, as far as the
 * test has the parts: send, deliver, read, write. */
void fake_redis_follow(struct fake_redis *fake, void (*steps)(void *arg), void *arg);

/* Until `holds` returns true. */
void fake_redis_run_until(struct fake_redis *fake, bool (*holds)(void *arg), void *arg);

/* Until both sides have read all that was sent, and have done what follows from it: to say that
 * something did not happen. Timers that are not due yet are not waited for. */
void fake_redis_settle(struct fake_redis *fake);

/* --- Calls --- */

/* Runs the loop until there is a call of this name that fake_redis_await has not returned yet, and
 * returns it, the oldest first. The name is that of a script without ".lua", or a command's first
 * word. The call stays the fake's, and is valid until fake_redis_free. */
struct fake_redis_call *fake_redis_await(struct fake_redis *fake, const char *name);

/* So many calls of this name have come, answered or not. Does not run the loop. */
size_t fake_redis_count(const struct fake_redis *fake, const char *name);

/* Did the first come before the second? */
bool fake_redis_came_before(const struct fake_redis_call *first,
                            const struct fake_redis_call *second);

/* What it was called with, numbered as in Lua, from 1 on; of a command, the words after the first
 * are arguments. NULL: there is none. */
const char *fake_redis_key(const struct fake_redis_call *call, size_t index);
const char *fake_redis_argument(const struct fake_redis_call *call, size_t index);

bool fake_redis_is_answered(const struct fake_redis_call *call);

/* Answers with a value of resp_value.h, such as "['epoch', 7, null]" or "-ERR why". NULL: as the
 * fake would by itself. Does nothing when the connection is gone; no call may be answered twice.
 * The loop has to run for it to arrive. */
void fake_redis_answer(struct fake_redis_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same of RESP bytes as they are, well-formed or not. */
void fake_redis_answer_bytes(struct fake_redis_call *call, const void *data, size_t len);

/* What calls of this name get from here on, as soon as they come: that value; NULL: nothing, until
 * the test answers. Both strings must outlive the fake. The last word counts. */
void fake_redis_always(struct fake_redis *fake, const char *name, const char *value);

/* --- Channels and connections --- */

/* Is somebody subscribed? Does not run the loop. */
bool fake_redis_is_subscribed(const struct fake_redis *fake, const char *channel);

/* To all who are subscribed; nobody need be. The loop has to run for it to arrive. */
void fake_redis_publish(struct fake_redis *fake, const char *channel, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fake_redis_publish_bytes(struct fake_redis *fake, const char *channel, const void *data,
                              size_t len);

/* Closes connections: those that have subscribed to something, the others, or both. The program
 * makes new ones, after a while. */
enum fake_redis_connections { FAKE_SUBSCRIBERS = 1, FAKE_COMMANDS = 2, FAKE_ALL = 3 };
void fake_redis_drop(struct fake_redis *fake, enum fake_redis_connections which);

/* Sends RESP bytes that nobody has asked for to all who have subscribed to something. */
void fake_redis_push_bytes(struct fake_redis *fake, const void *data, size_t len);

/* Away: all connections are closed, and new ones as soon as they are made. */
void fake_redis_set_away(struct fake_redis *fake, bool away);

#endif
