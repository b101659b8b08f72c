#include "session/close_log.h"

#include "base/clock.h"
#include "session/rate_limit.h"
#include "session/session.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    enum connection_cause cause;
    uint16_t code; /* of those that the gateway closed; 0: any other */
    const char *by, *why;
} rows[] = {
    {CONNECTION_LEFT, 0, "client", "closed by client"},
    {CONNECTION_CUT, 0, "network", "cut"},
    {CONNECTION_SILENT, 0, "gateway", "missed pong"},
    {CONNECTION_UNWATCHED, 0, "gateway", "kernel memory"},
    {CONNECTION_CLOSED, 1002, "gateway", "protocol error"},
    {CONNECTION_CLOSED, 1003, "gateway", "not text"},
    {CONNECTION_CLOSED, 1007, "gateway", "protocol error"},
    {CONNECTION_CLOSED, 1009, "gateway", "max-message"},
    {CONNECTION_CLOSED, 1012, "gateway", "drain"},
    {CONNECTION_CLOSED, 1013, "gateway", "unavailable"},
    {CONNECTION_CLOSED, 4400, "gateway", "name taken"},
    {CONNECTION_CLOSED, CONNECTION_TOO_SLOW, "gateway", "slow reader"},
    {CONNECTION_CLOSED, 4409, "gateway", "resumed elsewhere"},
    {CONNECTION_CLOSED, 4429, "gateway", "rate"},
    {CONNECTION_CLOSED, 0, "gateway", "closed by gateway"},
};

enum { ROWS = sizeof rows / sizeof *rows };

static uint32_t find_row(const struct connection_end *end)
{
    uint32_t i = 0;
    while (i < ROWS - 1 &&
           (rows[i].cause != end->cause || (rows[i].code != 0 && rows[i].code != end->code)))
        i++;
    return i;
}

const char *session_lost_word(const struct session *session)
{
    return session->connection != NULL ? "not welcomed in time" : rows[session->lost_cause].why;
}

void session_note_lost(struct session *session, const struct connection_end *end)
{
    char code[8], age[16], queued[24], refused[24];
    uint32_t row = find_row(end);
    uint32_t age_s = (uint32_t)(clock_monotonic_ms() / 1000) - session->opened_s;
    snprintf(code, sizeof code, "%u", (unsigned)end->code);
    snprintf(age, sizeof age, "%" PRIu32, age_s);
    snprintf(queued, sizeof queued, "%zu", end->queued);
    snprintf(refused, sizeof refused, "%" PRIu64, session_refused(session));
    session_log_more(
        session,
        &(struct log_line){
            .kind = "lost",
            .more = (const char *const[]){"code", code, "by", rows[row].by, "why", rows[row].why,
                                          "age", age, "queued", queued, "refused", refused, NULL},
        });
    metrics_count_word(&session->all->options.metrics->lost, rows[row].why);
    session->lost_cause = row;
}
