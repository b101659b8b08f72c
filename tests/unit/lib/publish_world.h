/* publish_world: what members say on its way to a scripted Redis (fake_redis.h), in two rooms. */
#ifndef YUKIZURI_UNIT_PUBLISH_WORLD_H
#define YUKIZURI_UNIT_PUBLISH_WORLD_H

#include "broker/broker.h"
#include "fake_redis.h"

enum { MOST_ROOMS = 2 };

enum { KEYS = 3, ARGUMENTS = 6, WORDS = 3 }; /* before what is said; of each */

extern struct stage {
    struct event_base *base;
    struct fake_redis *fake;
    struct config config;
    struct metrics metrics;
    struct broker *broker;
    struct topic rooms[MOST_ROOMS];
} stage;

/* Is Redis there? For fake_redis_run_until. */
bool is_up(void *arg);
bool is_down(void *arg);

/* Two rooms. */
struct topic *tea(void);
struct topic *cafe(void);

/* Somebody says something to a room; who is told is `who`. */
int say_all(struct topic *room, const struct publish_batch_say *say, const char *who);
int say(struct topic *room, const char *who);
int say_with_nonce(struct topic *room, const char *id, const char *nonce, const char *who);

/* Somebody leaves it. */
int leave(struct topic *room, const char *who);

/* The end of an iteration; the end of the program. */
void flush(void);
void stop(void);

/* The connection is lost in this iteration of the loop, and nobody has been told yet. */
void drop(void);

/* For cmocka: Redis is up, and nothing has been said. The second one waits for a replica, of which
 * the test answers WAIT. */
int open_stage(void **state);
int open_durable_stage(void **state);
int close_stage(void **state);

/* The next call of publish.lua; so many have come when all is at rest. */
struct fake_redis_call *await(void);
size_t count(void);

/* Who was told what, when all is at rest (redis_stage.h). */
const char *told(void);

/* The words of what is said as number `index` of a call, from 0 on. */
const char *body_of(const struct fake_redis_call *call, size_t index);
const char *nonce_of(const struct fake_redis_call *call, size_t index);
const char *epoch_of(const struct fake_redis_call *call, size_t index);

/* The bodies of a call, in order. */
const char *bodies(const struct fake_redis_call *call);

#endif
