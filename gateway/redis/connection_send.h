/* connection_send: the functions of connection.h that send are here, and what they do for the
 * greeting. Part of `redis`. */
#ifndef YUKIZURI_REDIS_CONNECTION_SEND_H
#define YUKIZURI_REDIS_CONNECTION_SEND_H

#include <stdarg.h>

struct redis_connection;
struct redis_reply;

/* Writes a command of all words up to a NULL, in whatever state, and waits for its answer. */
void redis_connection_write_list(struct redis_connection *redis,
                                 void (*done)(void *arg, const struct redis_reply *reply),
                                 void *arg, const char *first, va_list rest);

#endif
