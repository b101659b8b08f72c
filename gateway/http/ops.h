/* ops: what operators and balancers ask: may people be sent here, and the metrics, which are for
 * the addresses of `ops-allow` alone. Owns nothing; calls nobody back. */
#ifndef YUKIZURI_HTTP_OPS_H
#define YUKIZURI_HTTP_OPS_H

#include "http/client.h"
#include "http/site.h"

/* NULL, or a sentence: why nobody should be sent here. */
const char *ops_why_not_ready(const struct http_site *site);

/* /readyz: 200; or 503 with why nobody should be sent here. */
void ops_answer_ready(const struct http_site *site, struct response *response);

/* /metrics (Prometheus' text) and /api/stats (JSON); or 403. */
void ops_answer_metrics(const struct http_site *site, const struct http_call *call);
void ops_answer_stats(const struct http_site *site, const struct http_call *call);

/* /status: the page that draws the latter; or 403. */
void ops_answer_status(const struct http_site *site, const struct http_call *call);

#endif
