/* gateway_id: how a gateway is named in Redis, logs and metrics when nobody names it, and which
 * names are none. Pure functions but for the host name, the process id and random bytes. */
#ifndef YUKIZURI_CONFIG_GATEWAY_ID_H
#define YUKIZURI_CONFIG_GATEWAY_ID_H

#include <stdbool.h>

enum { GATEWAY_ID_BYTES = 96 }; /* the longest, with a worker's number and the NUL */

/* A name that no other process has: host name, process id, and a random part. The first two alone
 * are the same in two containers, and may be on cloned machines. */
void gateway_id_make(char out[GATEWAY_ID_BYTES]);

/* What is wrong with a name, as the end of a sentence; NULL when it is fine. `workers`: a number is
 * still to be added. */
const char *gateway_id_judge(const char *id, bool workers);

#endif
