/* gathering: several presence events that will be shown as one line, of at most
 * MESSAGE_PRESENCE_NAMES names each way. Who came and went again meanwhile, seen by nobody, is left
 * out. No I/O. */
#ifndef YUKIZURI_HISTORY_PRESENCE_BATCH_H
#define YUKIZURI_HISTORY_PRESENCE_BATCH_H

#include "base/text.h"
#include "protocol/message.h"

#include <stdbool.h>

struct gathering;

struct gathering *gathering_new(void);
void gathering_free(struct gathering *gathering); /* NULL is fine */

/* Is something gathered that was not shown? */
bool gathering_is_open(const struct gathering *gathering);

/* Have more come, or gone, than the line can name? */
bool gathering_is_full(const struct gathering *gathering);

/* Adds a presence event; copies what it needs. */
void gathering_add(struct gathering *gathering, const struct room_event *event);

/* Somebody was given a list with those who are gathered: when one of them goes, it must be said. */
void gathering_seen(struct gathering *gathering);

void gathering_write(const struct gathering *gathering, struct text *out);

/* It is empty again. */
void gathering_clear(struct gathering *gathering);

#endif
