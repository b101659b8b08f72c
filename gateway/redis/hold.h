/* hold: the commands of a connection that wait for a server, which is about to be replaced by
 * another one: redis_connection_hold, redis_connection_release and redis_connection_is_held
 * (connection.h) are here. Part of `redis`. */
#ifndef YUKIZURI_REDIS_HOLD_H
#define YUKIZURI_REDIS_HOLD_H

struct redis_connection;
struct redis_reply;
struct redis_words;

/* Takes a command while they are held; the words stay the caller's. */
void redis_connection_hold_back(struct redis_connection *redis, const struct redis_words *words,
                                void (*done)(void *arg, const struct redis_reply *reply),
                                void *arg);

#endif
