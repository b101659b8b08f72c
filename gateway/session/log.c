#include "session/log.h"

#include "base/clock.h"
#include "session/session.h"

#include <inttypes.h>
#include <stdio.h>

/* --- Who has not joined --- */

enum { REPORT_EVERY_MS = 60000 };

static const struct rate_limit limit = {.per_second = 10, .burst = 100};

static bool is_stranger(const struct session *session)
{
    return session->identity == NULL || session->identity->id[0] == '\0';
}

void session_log_init(struct sessions *all)
{
    all->strangers.rate = rate_new(&limit, clock_monotonic_ms());
}

/* If not, the line is counted, and told of by the tick. Who comes and goes shall not hide who
 * floods: warnings have a limit of their own. */
static bool may_log(const struct session *session, enum log_level level)
{
    struct sessions *all = session->all;
    enum rate_kind kind = level == LOG_LEVEL_WARN ? RATE_SIGNS : RATE_WORDS;
    if (!is_stranger(session) ||
        rate_take(&all->strangers.rate, &limit, kind, clock_monotonic_ms()))
        return true;
    all->strangers.dropped++;
    return false;
}

void session_log_tick(struct sessions *all)
{
    char count[24];
    struct strangers *strangers = &all->strangers;
    int64_t now_ms = clock_monotonic_ms();
    if (strangers->dropped == 0 ||
        (strangers->reported_ms != 0 && now_ms - strangers->reported_ms < REPORT_EVERY_MS))
        return;
    snprintf(count, sizeof count, "%" PRIu64, strangers->dropped);
    log_write(all->options.log,
              &(struct log_line){
                  .level = LOG_LEVEL_WARN,
                  .kind = "strangers",
                  .message = "lines about people who have not joined are left out: there are more "
                             "than 10 a second",
                  .more = (const char *const[]){"count", count, NULL},
              });
    strangers->reported_ms = now_ms;
    strangers->dropped = 0;
}

/* --- Lines --- */

void session_log_more(const struct session *session, const struct log_line *line)
{
    char address[ADDRESS_TEXT_BYTES];
    struct log_line whole = *line;
    const struct identity *identity = session->identity;
    if (!may_log(session, line->level))
        return;
    session_format_address(session, address);
    whole.room = room_name(session->entry->room);
    whole.remote_addr = address;
    if (identity != NULL) {
        whole.id = identity->id[0] == '\0' ? NULL : identity->id; /* Redis has not decided yet */
        whole.username = identity_name(identity);
    }
    log_write(session->all->options.log, &whole);
}

void session_log(const struct session *session, const char *kind, const char *message)
{
    session_log_more(session, &(struct log_line){.kind = kind, .message = message});
}

/* --- Connections that ended --- */

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
    {CONNECTION_IN_PIECES, 0, "gateway", "max-fragments"},
    {CONNECTION_CLOSED, 1012, "gateway", "drain"},
    {CONNECTION_CLOSED, 1013, "gateway", "unavailable"},
    {CONNECTION_CLOSED, 4400, "gateway", "name taken"},
    {CONNECTION_CLOSED, CONNECTION_TOO_SLOW, "gateway", "slow reader"},
    {CONNECTION_CLOSED, 4409, "gateway", "resumed elsewhere"},
    {CONNECTION_CLOSED, 4429, "gateway", "rate"},
    {CONNECTION_CLOSED, 4503, "gateway", "put out"},
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

void session_note_lost(struct session *session, const struct connection_end *end, uint64_t refused)
{
    char code[8], age[16], queued[24], refused_text[24];
    uint32_t row = find_row(end);
    uint32_t age_s = (uint32_t)(clock_monotonic_ms() / 1000) - session->opened_s;
    snprintf(code, sizeof code, "%u", (unsigned)end->code);
    snprintf(age, sizeof age, "%" PRIu32, age_s);
    snprintf(queued, sizeof queued, "%zu", end->queued);
    snprintf(refused_text, sizeof refused_text, "%" PRIu64, refused);
    session_log_more(session,
                     &(struct log_line){
                         .kind = "lost",
                         .more = (const char *const[]){"code", code, "by", rows[row].by, "why",
                                                       rows[row].why, "age", age, "queued", queued,
                                                       "refused", refused_text, NULL},
                     });
    metrics_count_word(&session->all->options.metrics->lost, rows[row].why);
    session->lost_cause = row;
}
