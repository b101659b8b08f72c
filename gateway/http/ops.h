/* ops: what operators and balancers ask: is the process alive, may people be sent here, and the
 * figures. The figures are for the addresses of `ops-allow` alone. Owns nothing; calls nobody back.
 */
#ifndef YUKIZURI_HTTP_OPS_H
#define YUKIZURI_HTTP_OPS_H

#include "http/server.h"

struct bus;
struct ops;
struct sessions;

/* All of these must outlive it. */
struct ops_options {
    const struct config *config;
    const struct http_server *server;
    struct client_addresses *addresses;
    const struct connections *connections;
    const struct bus *bus;
    struct sessions *sessions;
    struct metrics *metrics;
    struct log *log;
};

struct ops *ops_new(const struct ops_options *options);

/* NULL is fine. */
void ops_free(struct ops *ops);

/* From here on /readyz says 503: a drain is under way. Everybody is still served. */
void ops_announce_drain(struct ops *ops);

/* /healthz: always 200. */
void ops_answer_health(struct response *response);

/* /readyz: 200; or 503 with why nobody should be sent here. */
void ops_answer_ready(const struct ops *ops, struct response *response);

/* /metrics (Prometheus' text) and /api/stats (JSON); or 403. */
void ops_answer_metrics(struct ops *ops, const struct http_call *call);
void ops_answer_stats(struct ops *ops, const struct http_call *call);

#endif
