/* outage_log: the lines of the log about the beginning and the end of an outage of Redis. Decides
 * nothing. */
#ifndef YUKIZURI_BROKER_OUTAGE_LOG_H
#define YUKIZURI_BROKER_OUTAGE_LOG_H

#include "config/redis_url.h"
#include "telemetry/log.h"

#include <stdbool.h>

/* `reached`: it was there before. */
void outage_log_lost(struct log *log, const struct redis_url *url, bool reached, const char *why);

/* `version` may be "". */
void outage_log_up(struct log *log, const struct redis_url *url, const char *version);

#endif
