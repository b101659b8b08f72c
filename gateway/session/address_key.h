/* cloak: the key under which addresses are hashed where they are shown as `cloak`. All gateways use
 * the same one for a day, so that a person looks the same on each of them and after a restart; it
 * is in Redis (P:cloak:DAY), which the first to need it wrote there at random, and runs out like
 * the other keys when no gateway renews it. Tomorrow's is known before it is needed.
 *
 * Does nothing, and knows all it needs, when no setting says `cloak`. */
#ifndef YUKIZURI_SESSION_ADDRESS_KEY_H
#define YUKIZURI_SESSION_ADDRESS_KEY_H

#include "broker/broker.h"
#include "config/address.h"

struct cloak;

/* `bus` must outlive it. */
struct cloak *cloak_new(struct bus *bus);

/* Redis' replies must have come or been failed before (bus_stop). NULL is fine. */
void cloak_free(struct cloak *cloak);

/* Redis is there, perhaps with an empty memory: asks for the keys, and puts back those we know. */
void cloak_ask(struct cloak *cloak);

/* To be called once a second: asks again, renews, and goes with the day. */
void cloak_tick(struct cloak *cloak);

/* Is today's key known, should it be needed? */
bool cloak_is_known(const struct cloak *cloak);

/* address_display with today's key; "" where that is needed and not known. */
void cloak_display(const struct cloak *cloak, const struct address *address, unsigned show,
                   char out[ADDRESS_TEXT_BYTES]);

#endif
