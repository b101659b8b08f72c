/* supervisor: several gateways on the same addresses, each a process of its own; the kernel gives
 * each new connection to one of them (SO_REUSEPORT). A worker is a whole gateway with an id of its
 * own, and shares nothing with the others but Redis, as gateways on different machines do.
 *
 * Starts another worker when one dies, passes signals on, and ends when the last one has ended. */
#ifndef YUKIZURI_SUPERVISOR_H
#define YUKIZURI_SUPERVISOR_H

#include "base/service.h"
#include "config/config.h"

/* Runs `work` in config->workers processes; `config` gets the worker's gateway-id there, and the
 * private Redis that all share, should one be wanted. The manager of `service` hears of all
 * workers at once: that each is ready, that they are to end, that the supervisor's loop turns. A
 * worker whose loop does not turn within the watchdog's span is killed, and another one takes its
 * place. To be called after signals_begin. Returns the exit status: that of a worker that could not
 * start, 1 when the id of one is another process', else 0. In a worker it returns what `work`
 * returned. */
int supervisor_run(struct config *config, struct service *service,
                   int (*work)(const struct config *config, struct service *service));

#endif
