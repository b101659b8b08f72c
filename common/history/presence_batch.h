/* gathering: several presence events that will be shown as one line, of at most
 * MESSAGE_PRESENCE_NAMES names each way. Who came and went again meanwhile, seen by nobody, is left
 * out. No I/O. */
#ifndef YUKIZURI_HISTORY_PRESENCE_BATCH_H
#define YUKIZURI_HISTORY_PRESENCE_BATCH_H

#include "base/text.h"
#include "protocol/message.h"

#include <stdbool.h>

struct presence_batch;

struct presence_batch *presence_batch_new(void);
void presence_batch_free(struct presence_batch *batch); /* NULL is fine */

/* Is something gathered that was not shown? */
bool presence_batch_is_open(const struct presence_batch *batch);

/* Have more come, or gone, than the line can name? */
bool presence_batch_is_full(const struct presence_batch *batch);

/* Adds a presence event; copies what it needs. */
void presence_batch_add(struct presence_batch *batch, const struct room_event *event);

/* Somebody was given a list with those who are gathered: when one of them goes, it must be said. */
void presence_batch_seen(struct presence_batch *batch);

void presence_batch_write(const struct presence_batch *batch, struct text *out);

/* It is empty again. */
void presence_batch_clear(struct presence_batch *batch);

#endif
