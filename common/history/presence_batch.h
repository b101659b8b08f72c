/* presence_batch: several presence events that will be delivered as one, of at most
 * MESSAGE_PRESENCE_NAMES names each way. Who came and went again meanwhile, seen by nobody, is left
 * out. No I/O. */
#ifndef YUKIZURI_HISTORY_PRESENCE_BATCH_H
#define YUKIZURI_HISTORY_PRESENCE_BATCH_H

#include "base/text.h"
#include "protocol/room_event.h"

#include <stdbool.h>

struct presence_batch;

struct presence_batch *presence_batch_new(void);
void presence_batch_free(struct presence_batch *batch); /* NULL is fine */

/* Is something in it that was not delivered? */
bool presence_batch_is_open(const struct presence_batch *batch);

/* Have more come, or gone, than one message can name? */
bool presence_batch_is_full(const struct presence_batch *batch);

/* Adds a presence event; copies what it needs. */
void presence_batch_add(struct presence_batch *batch, const struct room_event *event);

/* Somebody was given a roster with those who are in it: when one of them leaves, that is
 * delivered. */
void presence_batch_seen(struct presence_batch *batch);

/* Writes it as one message; it stays as it is. */
void presence_batch_write(const struct presence_batch *batch, struct text *out);

/* It is empty again. */
void presence_batch_clear(struct presence_batch *batch);

#endif
