/* refusals: every bound at which somebody is refused, by name, and the line of the log about it:
 * the first refusal of each is logged at once, further ones are counted and logged once a minute.
 * The metrics have the same counts (refused_total, by reason).
 *
 * Knows no bound's value and refuses nobody: whoever refuses notes it here, once for each refusal.
 * A limit that is a setting bears the setting's name. */
#ifndef YUKIZURI_TELEMETRY_REFUSALS_H
#define YUKIZURI_TELEMETRY_REFUSALS_H

#include "telemetry/log.h"
#include "telemetry/metrics.h"

#include <stdint.h>

struct refusals;

enum refusal {
    REFUSAL_MAX_CONNECTIONS,
    REFUSAL_MAX_CONNECTIONS_PER_ADDRESS,
    REFUSAL_MAX_MEMBERS,
    REFUSAL_MAX_ROOMS,
    REFUSAL_MAX_PENDING,
    REFUSAL_MAX_UNSENT,
    REFUSAL_RATE,
    REFUSAL_RATE_PER_ADDRESS,
    REFUSAL_BYTES_PER_ADDRESS,
    REFUSAL_JOINS_PER_ADDRESS,
    REFUSAL_ROOMS_PER_ADDRESS,
    REFUSAL_BAD_PER_ADDRESS,
    REFUSAL_HANDSHAKES_PER_ADDRESS,
    REFUSAL_MAX_TEXT,
    REFUSAL_MAX_MESSAGE,
    REFUSAL_MAX_FRAGMENTS,
    REFUSAL_BACKLOG,
    REFUSAL_RETENTION, /* a slow reader lags behind what is kept */
    REFUSAL_MAX_HEAD,
    REFUSAL_HEADERS,
    REFUSAL_DESCRIPTORS,   /* of this process or of the machine */
    REFUSAL_KERNEL_MEMORY, /* the kernel has none for one more socket */
    REFUSAL_HEAD_TIME,
    REFUSAL_ANSWER_TIME,
    REFUSAL_JOIN_TIME,
    REFUSAL_PROXY_HEADER, /* malformed, missing or late */
    REFUSALS              /* so many */
};

/* Neither the metrics nor the log (NULL: none is written) become its own; they must outlive it. */
struct refusals *refusals_new(struct metrics *metrics, struct log *log);

/* NULL is fine. */
void refusals_free(struct refusals *refusals);

/* Somebody was refused. `remote_addr` is who, as the log may name it; NULL where that says nothing.
 * Does nothing when `refusals` is NULL. */
void refusals_note(struct refusals *refusals, enum refusal reason, const char *remote_addr);

/* To be called once a second, with the monotonic clock: logs what has come since the last line. */
void refusals_tick(struct refusals *refusals, int64_t now_ms);

#endif
