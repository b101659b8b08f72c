/* address_walk: who is behind trusted proxies, by the list that each of them adds a hop to. Pure
 * functions over bytes; owns nothing.
 *
 * A list is walked from the right, from the peer itself on, as long as what it has reached is a
 * trusted proxy (a unix-socket peer always is): what stands left of the first that is not is what
 * that one says. What is no address, such as `unknown` or a hidden name, ends the walk at the last
 * good one, whatever stands left of it. Empty entries are none (RFC 9110 section 5.6.1). */
#ifndef YUKIZURI_CONFIG_ADDRESS_WALK_H
#define YUKIZURI_CONFIG_ADDRESS_WALK_H

#include "config/address.h"

struct address_walk {
    const struct address_block *trusted;
    size_t trusted_count;
    struct address at; /* begins as the peer's; what it ends as */
};

/* Walks the value of X-Forwarded-For, or several values with a comma between. Returns false when
 * nobody knows whether `at` is the client: there was no entry, or one that is no address. */
bool address_walk_list(struct address_walk *walk, const char *list);

/* The same with Forwarded (RFC 7239): of each element, what its `for` says. Elements and pairs are
 * split from the right, so that what a client wrote cannot take in what a proxy has put behind it,
 * say by a quote that it leaves open. */
bool address_walk_forwarded(struct address_walk *walk, const char *list);

#endif
