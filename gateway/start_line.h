/* start_line: what a gateway says of itself when it starts, in one line of the log: what it is,
 * where it listens, where its Redis is, how it sends, and the limits in force. No secret is in it.
 */
#ifndef YUKIZURI_START_LINE_H
#define YUKIZURI_START_LINE_H

#include "config/config.h"
#include "room/batch_send.h"
#include "telemetry/log.h"

struct start_facts {
    const struct config *config;
    const struct redis_url *redis; /* where it was found, should it be the gateway's own */
    const struct sender *sender;
    uint64_t max_connections; /* what the file limit leaves of the setting */
};

void start_line_tell(struct log *log, const struct start_facts *facts);

#endif
