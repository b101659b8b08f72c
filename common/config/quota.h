/* quota: how many connections each address has. Counts by address_unit. */
#ifndef YUKIZURI_CONFIG_QUOTA_H
#define YUKIZURI_CONFIG_QUOTA_H

#include "config/address.h"

#include <stdbool.h>
#include <stdint.h>

struct quota;

/* At most `most` for each address; 0: any number. Loopback is not counted. */
struct quota *quota_new(uint64_t most);
void quota_free(struct quota *quota);

/* Counts one more; false (and nothing counted) when the address has as many as it may. */
bool quota_take(struct quota *quota, const struct address *address);
void quota_give(struct quota *quota, const struct address *address);

/* Has it more than half of what it may have? Then an idle one takes a busy one's place. */
bool quota_is_scarce(const struct quota *quota, const struct address *address);

#endif
