/* address_key: the key under which addresses are hashed, for members' marks and where they are
 * shown as `cloak`. All gateways use the same one for a day, so that a person looks the same on
 * each of them and after a restart; it is in Redis (P:cloak:DAY), which the first to need it wrote
 * there at random, and runs out like the other keys when no gateway renews it. Tomorrow's is there
 * before it is needed. */
#ifndef YUKIZURI_SESSION_ADDRESS_KEY_H
#define YUKIZURI_SESSION_ADDRESS_KEY_H

#include "broker/broker.h"
#include "config/address.h"

struct address_key;

/* `broker` must outlive it. `on_agreed` is called when a day's key is agreed on with Redis. */
struct address_key *address_key_new(struct broker *broker, void (*on_agreed)(void *arg), void *arg);

/* Redis' replies must have come or been failed before (broker_stop). NULL is fine. */
void address_key_free(struct address_key *keys);

/* Redis is there, perhaps with an empty memory: asks for the keys, and reinstates those that we
 * have. */
void address_key_ask(struct address_key *keys);

/* To be called once a second: asks again, renews, and goes with the day. */
void address_key_tick(struct address_key *keys);

/* Is today's key agreed on with Redis? Joins wait for it. */
bool address_key_is_ready(const struct address_key *keys);

/* Today's key itself, DIGEST_SHA256_BYTES; NULL where it is not there yet. */
const uint8_t *address_key_today(const struct address_key *keys);

/* address_mark with today's key; "" where that is not there yet. */
void address_key_mark(const struct address_key *keys, const struct address *address,
                      char out[ADDRESS_MARK_BYTES]);

/* address_display with today's key; "" where that is needed and not there yet. */
void address_key_display(const struct address_key *keys, const struct address *address,
                         unsigned show, char out[ADDRESS_TEXT_BYTES]);

#endif
