/* address_rates: what each address may do in a while, over all its connections and after each of
 * them: token buckets by address_unit (/32 of IPv4, /64 of IPv6). Who reconnects finds its buckets
 * as it left them. Knows nobody's connections (that is config/quota), and refuses nobody.
 *
 * A full bucket is the same as none, so an address is forgotten once all of its buckets must be
 * full. An address takes 64 bytes and a slot of the table, 100 bytes at most. There are at most
 * ADDRESS_RATES_MOST of them, 6.5 MB: beyond that the one that was quiet for longest is forgotten,
 * and has full buckets should it come back. Whoever wants to gain by that has to use as many other
 * addresses in between, each with buckets of its own. */
#ifndef YUKIZURI_CONFIG_ADDRESS_RATES_H
#define YUKIZURI_CONFIG_ADDRESS_RATES_H

#include "config/config.h"

#include <stddef.h>
#include <stdint.h>

enum address_rate {
    ADDRESS_WORDS,      /* rate-per-address */
    ADDRESS_SIGNS,      /* the same for signs of life: ADDRESS_SIGNS_FACTOR times as many */
    ADDRESS_BYTES,      /* bytes-per-address */
    ADDRESS_JOINS,      /* joins-per-address */
    ADDRESS_ROOMS,      /* rooms-per-address */
    ADDRESS_BAD,        /* bad-per-address */
    ADDRESS_HANDSHAKES, /* handshakes-per-address */
    ADDRESS_RATES       /* so many */
};

/* Browsers send one or two signs of life for each thing that is said. */
enum { ADDRESS_SIGNS_FACTOR = 4, ADDRESS_RATES_MOST = 65536 };

struct address_rates;

/* Reads the limits out of `config`, which need not outlive it. */
struct address_rates *address_rates_new(const struct config *config);

/* NULL is fine. */
void address_rates_free(struct address_rates *rates);

/* Takes `amount` tokens of this kind from the address' bucket, into debt if need be, as long as
 * there is one whole token. 0: taken. Otherwise nothing was taken, and this is in how many seconds
 * there is a token, at least a tenth. Always 0 when there is no such limit, for loopback and unix
 * peers, behind which anybody may be, and when `rates` is NULL. */
double address_rates_take(struct address_rates *rates, const struct address *address,
                          enum address_rate kind, size_t amount, int64_t now_ms);

/* To be called once a second: forgets whose buckets are full. */
void address_rates_tick(struct address_rates *rates, int64_t now_ms);

/* Addresses that are remembered. */
size_t address_rates_count(const struct address_rates *rates);

#endif
