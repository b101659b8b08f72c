/* password: a password of Redis, or of its Sentinels, read again from its file: it may have been
 * changed since the start. Part of `broker`. */
#ifndef YUKIZURI_BROKER_PASSWORD_H
#define YUKIZURI_BROKER_PASSWORD_H

#include "config/redis_url.h"
#include "telemetry/log.h"

#include <stdbool.h>

/* The pointers are its owner's. */
struct password {
    const char *path;      /* of the file; NULL: there is none, and nothing is read */
    struct redis_url *url; /* has what was read last; the next connection uses it */
    struct log *log;
    const char *setting; /* that has the path */
    bool failure_logged; /* since it was last read */
};

/* Reads it. Logs when it is another one, or cannot be read: then the old one is kept. */
void password_reread(struct password *password);

#endif
