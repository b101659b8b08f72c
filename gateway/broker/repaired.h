/* mended: the log's word of a key in Redis that somebody has broken by hand, and that was mended.
 */
#ifndef YUKIZURI_BROKER_REPAIRED_H
#define YUKIZURI_BROKER_REPAIRED_H

#include "telemetry/log.h"

#include <stdbool.h>

/* Logs one line that names the key, unless *told; sets *told. `log` may be NULL. */
void mended_tell(struct log *log, const char *key, bool *told);

#endif
