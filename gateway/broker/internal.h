/* What the files of broker/ share: the broker itself. */
#ifndef YUKIZURI_BROKER_INTERNAL_H
#define YUKIZURI_BROKER_INTERNAL_H

#include "base/remote_clock.h"
#include "broker/broker.h"
#include "broker/health.h"
#include "broker/pubsub.h"
#include "redis/persistence.h"

struct broker {
    struct broker_options options;
    struct broker_callbacks callbacks;
    void *arg;
    struct redis_url url; /* with the password as it was last read */
    struct redis *commands;
    struct redis *subscriber;
    unsigned turn;         /* of both, among the addresses of Redis' name */
    struct redis_tls *tls; /* of both; NULL: none is wanted */
    struct redis_faults *faults;
    struct pubsub *pubsub;
    struct commands calls;
    struct key own_channel;               /* P:gateway:ID */
    struct key incarnation_channel;       /* whoever is subscribed to it lives, see lease.lua */
    struct key probe_channel, probe_base; /* of a room that nobody can be in */
    char incarnation[9];
    struct health *health;
    struct persistence *persistence;
    struct remote_clock redis_clock;         /* of the commands' connection */
    int64_t time_asked_ms;                   /* 0: not under way */
    char lost[300];                          /* why Redis is not there */
    char deaf[400];                          /* why a channel of ours is not listened on; "" */
    enum { BUS_NEW, BUS_UP, BUS_LOST } told; /* in the log, last */
    bool password_told;                      /* that it could not be read again */
    bool refused_told;                       /* that Redis refuses what people need */
    int64_t refused_told_ms;                 /* when that last was; 0: never */
    int64_t started_ms;
};

/* --- broker/broker.c --- */

/* Are both connections ready? */
bool broker_is_whole(const struct broker *broker);

/* --- broker/password.c --- */

/* Redis has refused something: is the password another one by now? The next connection has it. */
void broker_check_password(struct broker *broker, const struct redis_error *error);

/* --- broker/channels.c --- */

/* Listens on the channels that are this gateway's own. */
void broker_make_channels(struct broker *broker);

#endif
