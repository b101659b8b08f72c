/* server: the event loop and what belongs to the process: listeners, signals, the once-a-second
 * tick, the drain. Makes the other parts and hands each what it needs. */
#ifndef YUKIZURI_SERVER_H
#define YUKIZURI_SERVER_H

#include "base/service.h"
#include "config/config.h"
#include "telemetry/log.h"

struct server;

/* An exit status: another living process has our gateway-id. Starting once more would not help. */
enum { SERVER_ID_TAKEN = 3 };

/* Opens everything. NULL with a sentence in `error`. `service` is told how it is; NULL: nobody is.
 * `config`, `log` and `service` must outlive it. */
struct server *server_new(const struct config *config, struct log *log, struct service *service,
                          char *error, size_t error_size);

/* Runs until a signal has ended it; returns the exit status: 0, 1 (what went wrong was told), or
 * SERVER_ID_TAKEN. */
int server_run(struct server *server);

void server_free(struct server *server);

#endif
