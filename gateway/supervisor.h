/* supervisor: several gateways on the same addresses, each a process of its own; the kernel gives
 * each new connection to one of them (SO_REUSEPORT). A worker is a whole gateway with an id of its
 * own, and shares nothing with the others but Redis, as gateways on different machines do.
 *
 * Starts another worker when one dies, passes signals on, and ends when the last one has ended. */
#ifndef YUKIZURI_SUPERVISOR_H
#define YUKIZURI_SUPERVISOR_H

#include "base/service_notify.h"
#include "config/config.h"

/* Runs `work` in config->workers processes; `config` gets the worker's gateway-id there, and the
 * private Redis that all share, should one be wanted. The workers have no `service`: its manager
 * hears that they were started, that they are to end, and that the supervisor's loop turns. To be
 * called after signals_begin. Returns the exit status: that of a worker that could not start, 1 when
 * the id of one is another process', else 0. In a worker it returns what `work` returned. */
int supervisor_run(struct config *config, struct service_notify *service,
                   int (*work)(const struct config *config, struct service_notify *service));

#endif
