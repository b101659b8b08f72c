/* ban_lookup: asks Redis whether an address is banned, and until when. The keys of bans are named
 * after blocks of addresses (config/address_names.h), so it asks for the names of all blocks that
 * the address is in, all at once, and then for the end of the ban that it found. Each command has
 * one key: in a cluster the keys are on several nodes. */
#ifndef YUKIZURI_BROKER_BAN_LOOKUP_H
#define YUKIZURI_BROKER_BAN_LOOKUP_H

#include "broker/commands.h"
#include "config/address.h"

struct ban_lookup_result {
    bool known;       /* Redis has answered; else nothing is known of the address */
    char *reason;     /* NULL: not banned; "" for none. Freed by whoever is called */
    int64_t until_ms; /* Redis' clock; 0: until it is lifted */
};

typedef void (*ban_lookup_done)(void *arg, const struct ban_lookup_result *result);

/* Of several bans the one of the smallest block counts: its reason is the most to the point. A key
 * that is no string, and one that Redis' user may not read, is none. As the calls of commands.h: 0,
 * or -1 when Redis is not there. Not of a unix-socket peer, who has no address. */
int ban_lookup(const struct commands *commands, const struct address *address, ban_lookup_done done,
               void *arg);

#endif
