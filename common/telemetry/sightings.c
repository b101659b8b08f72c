#include "telemetry/sightings.h"

#include "protocol/message.h"

#include <string.h>

static struct sighting *find_sighting(struct sightings *sightings, const char *id)
{
    for (size_t i = 0; i < sightings->count; i++)
        if (strcmp(sightings->items[i].id, id) == 0)
            return &sightings->items[i];
    return NULL;
}

void sightings_note(struct sightings *sightings, const char *id, int64_t now_ms)
{
    struct sighting *sighting = find_sighting(sightings, id);
    size_t len = strlen(id);
    if (sighting == NULL) {
        if (sightings->count == SIGHTINGS_MOST || len >= SIGHTINGS_ID_BYTES)
            return;
        sighting = &sightings->items[sightings->count++];
        memcpy(sighting->id, id, len + 1);
        sighting->listed = true;
    }
    sighting->seen_ms = now_ms;
}

void sightings_begin_list(struct sightings *sightings)
{
    for (size_t i = 0; i < sightings->count; i++)
        sightings->items[i].listed = false;
}

void sightings_list(struct sightings *sightings, const char *id)
{
    struct sighting *sighting = find_sighting(sightings, id);
    if (sighting != NULL)
        sighting->listed = true;
}

void sightings_end_list(struct sightings *sightings)
{
    size_t kept = 0;
    for (size_t i = 0; i < sightings->count; i++)
        if (sightings->items[i].listed)
            sightings->items[kept++] = sightings->items[i];
    sightings->count = kept;
}

void sightings_render(const struct sightings *sightings, int64_t now_ms, struct text *out)
{
    text_add_string(out, "{");
    for (size_t i = 0; i < sightings->count; i++) {
        const struct sighting *sighting = &sightings->items[i];
        text_add_string(out, i == 0 ? "" : ",");
        message_add_string(out, sighting->id, strlen(sighting->id));
        text_print(out, ":%.3f", (double)(now_ms - sighting->seen_ms) / 1e3);
    }
    text_add_string(out, "}");
}
