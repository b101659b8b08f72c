/* redis_stage: one connection of the program to the scripted Redis (fake_redis.h), and a record of
 * who was told what. One stage at a time. */
#ifndef YUKIZURI_REDIS_STAGE_H
#define YUKIZURI_REDIS_STAGE_H

#include "fake_redis.h"
#include "redis/client.h"

/* Opens both, and waits until the connection is ready. */
void redis_stage_open(void);

/* The same with redis_options.prepare. */
void redis_stage_open_prepared(void (*prepare)(struct redis_connection *connection));

/* Stops the connection: who still waits is told so, from within. */
void redis_stage_stop(void);
void redis_stage_close(void);

struct fake_redis *redis_stage_fake(void);
struct redis *redis_stage_connection(void);

/* What the connection was made with, for another server on the same loop, with the same metrics. */
struct redis_options redis_stage_options(const struct redis_url *url);

/* Both sides have done all that follows from what was done so far. */
void redis_stage_settle(void);

/* All connections are lost, and none is made as long as the fake is away. */
void redis_stage_lose(void);

/* Each time that the connection becomes ready, `step` is called from within on_ready. */
void redis_stage_when_ready(void (*step)(struct redis *redis));

/* The fake is there again, and the connection ready. */
void redis_stage_come_back(void);

/* --- Who was told what; of this a test without a stage may make use, too --- */

/* To be handed to whoever takes a redis_done; the argument is who asked, a string. */
void redis_stage_tell(void *who, const struct redis_reply *reply);

/* What has been told since the last call, in order, such as "a:7 b:none c:ERR why": of an array how
 * many it has, "[2]". Does not run the loop. */
const char *redis_stage_told(void);

/* Runs the loop until somebody is told something, and all that follows from it is done. */
const char *redis_stage_await_told(void);

#endif
