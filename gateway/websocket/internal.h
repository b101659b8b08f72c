/* What websocket/connection.c (life and reading) and websocket/output.c share. */
#ifndef YUKIZURI_WEBSOCKET_INTERNAL_H
#define YUKIZURI_WEBSOCKET_INTERNAL_H

#include "base/bytes.h"
#include "base/wheel.h"
#include "telemetry/refusals.h"
#include "websocket/connection.h"
#include "websocket/poller.h"

#include <assert.h>

struct decoder;

enum { CONNECTION_SCRATCH_BYTES = 65536 };

struct connection {
    struct watch watch;
    struct connections *all;
    const struct connection_callbacks *callbacks;
    void *owner;
    const struct connection_source *source; /* NULL: none */
    void *source_arg;
    struct bytes *private;   /* for this peer alone; NULL while empty */
    struct decoder *decoder; /* NULL between frames */
    struct link on_wheel;
    struct connection *work_next; /* in the list of those with work to do, or of the dead */
    int fd;
    uint32_t slot;       /* the source's */
    uint32_t mark_ticks; /* when its last byte came; closing: when to stop waiting (wheel_now) */
    unsigned close_code : 13;  /* at most 4999 (section 7.4.2) */
    unsigned cause : 3;        /* enum connection_cause */
    unsigned watched : 2;      /* what the poller waits for */
    unsigned in_work : 1;      /* in either list */
    unsigned pinged : 1;       /* and has not answered yet */
    unsigned awaited : 1;      /* is on the wheel for its answer, not for its next ping */
    unsigned blocked : 1;      /* its socket is full */
    unsigned midway : 1;       /* was blocked, and perhaps inside of a frame, until it is pumped */
    unsigned held : 1;         /* by the owner */
    unsigned closing : 1;      /* a close frame is queued, or was received */
    unsigned close_queued : 1; /* our close frame is queued or sent: nothing may follow it */
    unsigned deaf : 1;         /* the peer's bytes mean nothing any more */
    unsigned shut : 1;         /* our side of the socket is shut down */
    unsigned dead : 1;         /* to be reaped */
};

static_assert(sizeof(struct connection) <= 104, "each member has one");

struct connections {
    struct connections_options options;
    struct decoders *decoders;
    struct event *tick_event, *work_event;
    struct connection *work;
    struct connection *first_dead, *last_dead; /* to be reaped; no longer in `work` */
    struct wheel *wheel;                       /* pings and reaps: no connection needs a timer */
    uint32_t stood_ticks;                      /* not counted: this process stood still */
    size_t count;
    uint8_t scratch[CONNECTION_SCRATCH_BYTES];
};

/* Makes the poller wait for what there is to wait for. Nothing is read from a peer that does not
 * take what waits for it, nor from one that is held. */
void connection_update_watch(struct connection *connection);

/* connection_abort, with a cause of its own, should there be none yet. */
void connection_abort_for(struct connection *connection, enum connection_cause cause);

#endif
