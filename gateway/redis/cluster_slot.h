/* cluster_slot: in which of a cluster's slots a key is, as the specification of Redis Cluster has
 * it: CRC16 (XMODEM) of the key's hash tag, or of the whole key where it has none. Pure. */
#ifndef YUKIZURI_REDIS_CLUSTER_SLOT_H
#define YUKIZURI_REDIS_CLUSTER_SLOT_H

#include <stddef.h>

enum { CLUSTER_SLOTS = 16384 };

/* The hash tag is what stands between the first '{' and the first '}' behind it, unless that is
 * nothing. */
unsigned cluster_slot(const char *key, size_t len);

#endif
