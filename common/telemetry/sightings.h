/* sightings: when each gateway of the chat was last seen alive. A few short ids and moments; for
 * operators to look at, nothing is decided by it. */
#ifndef YUKIZURI_TELEMETRY_SIGHTINGS_H
#define YUKIZURI_TELEMETRY_SIGHTINGS_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIGHTINGS_MOST = 64, SIGHTINGS_ID_BYTES = 65 };

/* All zero: nobody. */
struct sightings {
    struct sighting {
        char id[SIGHTINGS_ID_BYTES];
        int64_t seen_ms; /* monotonic */
        bool listed;
    } items[SIGHTINGS_MOST];
    size_t count;
};

/* It lives at this moment. Nothing is noted of more than SIGHTINGS_MOST, nor of a longer id. */
void sightings_note(struct sightings *sightings, const char *id, int64_t now_ms);

/* Which gateways there are is told anew: begin, each of them, end. Who is not among them is
 * forgotten. */
void sightings_begin_list(struct sightings *sightings);
void sightings_list(struct sightings *sightings, const char *id);
void sightings_end_list(struct sightings *sightings);

/* Appends a JSON object: the seconds since each was seen, by its id. */
void sightings_render(const struct sightings *sightings, int64_t now_ms, struct text *out);

#endif
