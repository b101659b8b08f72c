/* keeper: the process beside a gateway that keeps a private redis-server running. It starts the
 * server again when that dies, gives up when that happens too often, and ends the server and
 * removes its files when the gateway is gone, however that went. Part of `embedded_redis`. */
#ifndef YUKIZURI_REDIS_KEEPER_H
#define YUKIZURI_REDIS_KEEPER_H

#include "base/user.h"

#include <stdbool.h>
#include <stdint.h>

/* Three times within a minute: by then it is not chance, and a chat that forgets everything every
 * few seconds is none. */
enum { KEEPER_MOST_DEATHS = 3, KEEPER_SPAN_MS = 60000 };

/* The exit status of a keeper that gave up. */
enum { KEEPER_GAVE_UP = 3 };

struct keeper_deaths {
    int64_t at_ms[KEEPER_MOST_DEATHS]; /* monotonic, the latest first; 0: there was none */
};

/* The death of a server, as a keeper sends it. */
struct keeper_news {
    int64_t at_ms; /* monotonic */
    int status;    /* of the server, as waitpid(2) gives it */
};

struct keeper {
    char directory[64]; /* the server's own; removed at the end */
    char socket[96];    /* in it */
    int lifeline;       /* of packets, non-blocking: it ends when the gateway and its workers are
                           gone; news are sent over it, none when it is full */
    struct keeper_deaths deaths;
    struct user owner; /* whom the keeper, and with it the server, becomes */
};

/* Notes a death. Returns whether it was one too many. */
bool keeper_note_death(struct keeper_deaths *deaths, int64_t now_ms);

/* Removes the socket and the directory. */
void keeper_remove_files(const struct keeper *keeper);

/* In a process that lives for the gateway alone: Ctrl-C is for the gateway, whose handlers of
 * signals are not for a process with a copy of its memory. None is blocked. */
void keeper_ignore_signals(void);

/* To be called in a process that was forked off for it; does not return. Closes all descriptors but
 * the standard ones and its own. */
void keeper_run(struct keeper *keeper) __attribute__((noreturn));

#endif
