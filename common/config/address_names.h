/* address_names: how blocks of addresses are written where one is looked for by its name (the keys
 * of bans): in the canonical spelling of RFC 5952 section 4, without bits behind the length.
 * "203.0.113.7" and "203.0.113.7/32" are two names of one block. Pure; owns nothing. */
#ifndef YUKIZURI_CONFIG_ADDRESS_NAMES_H
#define YUKIZURI_CONFIG_ADDRESS_NAMES_H

#include "config/address.h"

enum {
    ADDRESS_V4_SHORTEST = 8, /* of a block that is looked for */
    ADDRESS_V6_SHORTEST =
        16,                  /* the same; a network has 64 bits at most, so there is none between */
    ADDRESS_V6_LONGEST = 64, /* this and a single address */
    ADDRESS_NAMES_MOST = 2 + ADDRESS_V6_LONGEST - ADDRESS_V6_SHORTEST + 1,
};

/* The block as people write it; one address has no length. */
void address_block_format(const struct address_block *block, char out[ADDRESS_TEXT_BYTES]);

/* Is it one of the names that its addresses have? */
bool address_block_has_name(const struct address_block *block);

/* The names of all blocks that an address is in, the smallest first: the bare address, /32 and so
 * on to /8, or /128, /64 and so on to /16. Returns how many; 0 of a unix-socket peer. */
size_t address_names(const struct address *address,
                     char out[ADDRESS_NAMES_MOST][ADDRESS_TEXT_BYTES]);

#endif
