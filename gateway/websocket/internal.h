/* The structs of websocket/connection.c, output.c and connections.c. Calls go one way:
 * connections → {connection, output, decoder}, {connection, output} → private_bytes, output →
 * connection. */
#ifndef YUKIZURI_WEBSOCKET_INTERNAL_H
#define YUKIZURI_WEBSOCKET_INTERNAL_H

#include "base/wheel.h"
#include "protocol/deflate.h"
#include "websocket/connections.h"
#include "websocket/poller.h"
#include "websocket/private_bytes.h"

#include <assert.h>

struct decoder;

enum {
    CONNECTIONS_SCRATCH_BYTES = 65536,
    /* Of the wheel: with longer ones pings delay messages, with shorter ones it wakes up more. */
    CONNECTIONS_TICKS_PER_S = 4,
    /* How long the peer's part of the closing handshake is waited for, */
    CONNECTIONS_LINGER_TICKS = 5 * CONNECTIONS_TICKS_PER_S,
    /* and that of one who was too slow. */
    CONNECTIONS_SLOW_LINGER_TICKS = 30 * CONNECTIONS_TICKS_PER_S,
};

struct connection {
    struct watch watch;
    struct connections *all;
    const struct connection_callbacks *callbacks;
    void *owner;
    const struct connection_source *source; /* NULL: none */
    void *source_arg;
    struct private_bytes *private; /* NULL while empty */
    struct decoder *decoder;       /* NULL between frames */
    struct link link;              /* on the wheel; of a dead one: in connections.dead */
    struct connection *next;       /* in the list of the dirty */
    int fd;
    uint32_t slot;              /* the source's */
    union {                     /* in the wheel's ticks */
        uint32_t last_rx_ticks; /* when its last byte came */
        uint32_t linger_ticks;  /* when closing: until when the peer's part is waited for */
    };
    unsigned close_code : 13;    /* at most 4999 (section 7.4.2) */
    unsigned cause : 3;          /* enum connection_cause */
    unsigned watched : 2;        /* what the poller waits for */
    unsigned listed : 1;         /* among the dirty, or the dead */
    unsigned pong_pending : 1;   /* it was pinged, and has sent nothing since */
    unsigned silence_timed : 1;  /* is on the wheel for its silence, not for its next ping */
    unsigned blocked : 1;        /* its socket is full */
    unsigned inside_frame : 1;   /* was blocked, perhaps inside of a frame, until it is pumped */
    unsigned reading_paused : 1; /* by the owner */
    unsigned input_held : 1;     /* what was read is not all decoded: too much waits for it */
    unsigned closing : 1;        /* a close frame is queued, or was received */
    unsigned input_ignored : 1;  /* our close frame is queued; theirs says nothing more */
    unsigned dead : 1;           /* to be reaped */
    unsigned deflated : 1;       /* permessage-deflate was negotiated */
};

static_assert(sizeof(struct connection) <= 104, "each member has one");

struct connections {
    struct connections_options options;
    struct event *tick_event;
    struct connection *dirty; /* to be flushed at the end of the iteration */
    struct link dead;         /* to be reaped, the first to die first */
    struct wheel *wheel;      /* next pings, silences, and ends of lingering */
    uint32_t stalled_ticks;   /* not counted: this process did not run */
    size_t count;
    struct deflater *deflater; /* this and the next: NULL without compression */
    struct inflater *inflater;
    uint8_t scratch[CONNECTIONS_SCRATCH_BYTES];
};

#endif
