#include "telemetry/refusals.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOG_EVERY_MS = 60000 };

static const struct {
    const char *name;
    const char *what; /* for the operator: what it does to people, and what to do */
} rows[REFUSALS] = {
    [REFUSAL_MAX_CONNECTIONS] = {"max-connections",
                                 "there are as many connections as max-connections allows: who "
                                 "comes is answered 503"},
    [REFUSAL_MAX_CONNECTIONS_PER_ADDRESS] =
        {"max-connections-per-address",
         "one address has as many connections as max-connections-per-address allows: who comes "
         "from there is answered 429; behind a proxy see trusted-proxy"},
    [REFUSAL_MAX_MEMBERS] = {"max-members", "a room has as many members as max-members allows: who "
                                            "wants to join is told room_full"},
    [REFUSAL_MAX_ROOMS] = {"max-rooms", "there are as many rooms as max-rooms allows: who wants to "
                                        "join a further one is told unavailable"},
    [REFUSAL_MAX_PENDING] = {"max-pending",
                             "as many messages as max-pending allows wait for Redis: who says "
                             "something is told unavailable"},
    [REFUSAL_MAX_UNSENT] = {"max-unsent",
                            "more waits for slow readers than max-unsent allows: the slowest are "
                            "closed with 4408, who comes is answered 503"},
    [REFUSAL_RATE] = {"rate",
                      "somebody sends more than rate allows: it is told too_fast, its pings "
                      "and typing are dropped; the flood lines say who"},
    [REFUSAL_RATE_PER_ADDRESS] = {"rate-per-address",
                                  "one address sends more than rate-per-address allows: it is told "
                                  "too_fast, its pings and typing are dropped; behind a proxy see "
                                  "trusted-proxy"},
    [REFUSAL_BYTES_PER_ADDRESS] =
        {"bytes-per-address", "one address sends more than bytes-per-address allows: its "
                              "connection is closed with 4429; behind a proxy see trusted-proxy"},
    [REFUSAL_JOINS_PER_ADDRESS] =
        {"joins-per-address", "one address joins more often than joins-per-address allows: it is "
                              "told too_fast; behind a proxy see trusted-proxy"},
    [REFUSAL_ROOMS_PER_ADDRESS] =
        {"rooms-per-address", "one address opens more rooms than rooms-per-address allows: it is "
                              "told too_fast; behind a proxy see trusted-proxy"},
    [REFUSAL_BAD_PER_ADDRESS] =
        {"bad-per-address", "one address sends more nonsense than bad-per-address allows: its "
                            "connection is closed with 4429; behind a proxy see trusted-proxy"},
    [REFUSAL_HANDSHAKES_PER_ADDRESS] =
        {"handshakes-per-address", "one address connects more often than handshakes-per-address "
                                   "allows: it is answered 429; behind a proxy see trusted-proxy"},
    [REFUSAL_MAX_TEXT] = {"max-text", "a message has more characters than max-text allows: it is "
                                      "refused with too_long"},
    [REFUSAL_MAX_MESSAGE] = {"max-message", "a WebSocket message has more bytes than max-message "
                                            "allows: its connection is closed with 1009"},
    [REFUSAL_MAX_FRAGMENTS] = {"max-fragments",
                               "a WebSocket message is in more short fragments than max-fragments "
                               "allows: its connection is closed with 1009"},
    [REFUSAL_BACKLOG] = {"backlog", "a reader has fallen further behind than backlog allows: it is "
                                    "closed with 4408 and may come back"},
    [REFUSAL_RETENTION] = {"retention", "a reader has fallen behind what retention, "
                                        "retention-messages and retention-bytes keep: it is closed "
                                        "with 4408 and may come back"},
    [REFUSAL_MAX_HEAD] = {"max-head", "a request's head has more bytes than max-head allows: it is "
                                      "answered 431"},
    [REFUSAL_HEADERS] = {"headers", "a request has too many headers: it is answered 431"},
    [REFUSAL_DESCRIPTORS] =
        {"descriptors", "no descriptor is left for one more socket: who comes is answered 503, "
                        "or waits; raise the limit of open files (LimitNOFILE, ulimit -n)"},
    [REFUSAL_KERNEL_MEMORY] = {"kernel-memory",
                               "the kernel has no room for one more socket: who comes waits, or is "
                               "dropped; see its memory and fs.epoll.max_user_watches"},
    [REFUSAL_HEAD_TIME] = {"head-time",
                           "a request's head did not come in time: it is answered 408"},
    [REFUSAL_ANSWER_TIME] = {"answer-time", "an answer was not taken in time: it is dropped"},
    [REFUSAL_JOIN_TIME] = {"join-time", "Redis did not let somebody in within the time for a join: "
                                        "it is told unavailable"},
    [REFUSAL_PROXY_HEADER] = {"proxy-header",
                              "a connection to an addr with ?proxy=on does not begin with a PROXY "
                              "header, or it came too late: it is closed; only proxies that send "
                              "one may connect there"},
};

static_assert((int)REFUSALS < (int)METRICS_WORDS, "each has a word of its own");

struct refusals {
    struct metrics *metrics;
    struct log *log;
    struct {
        int64_t logged_ms; /* 0: the next one is logged at once */
        uint64_t more;     /* since then */
    } items[REFUSALS];
};

/* All reasons are there from the beginning: a rate can be made of a series that was 0. */
struct refusals *refusals_new(struct metrics *metrics, struct log *log)
{
    struct refusals *refusals = memory_new(sizeof *refusals);
    refusals->metrics = metrics;
    refusals->log = log;
    for (int i = 0; i < REFUSALS; i++)
        metrics->refused.words[i] = rows[i].name;
    return refusals;
}

void refusals_free(struct refusals *refusals)
{
    free(refusals);
}

static void log_refusals(struct refusals *refusals, enum refusal reason, uint64_t count,
                         const char *remote_addr)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, count);
    log_write(refusals->log,
              &(struct log_line){
                  .level = LOG_LEVEL_WARN,
                  .kind = "limit",
                  .remote_addr = remote_addr,
                  .message = rows[reason].what,
                  .more = (const char *const[]){"limit", rows[reason].name, "count", number, NULL},
              });
}

void refusals_note(struct refusals *refusals, enum refusal reason, const char *remote_addr)
{
    if (refusals == NULL)
        return;
    refusals->metrics->refused.counts[reason]++;
    if (refusals->items[reason].logged_ms != 0) {
        refusals->items[reason].more++;
        return;
    }
    refusals->items[reason].logged_ms = clock_monotonic_ms();
    log_refusals(refusals, reason, 1, remote_addr);
}

void refusals_tick(struct refusals *refusals, int64_t now_ms)
{
    for (int i = 0; i < REFUSALS; i++) {
        int64_t logged_ms = refusals->items[i].logged_ms;
        if (logged_ms == 0 || now_ms - logged_ms < LOG_EVERY_MS)
            continue;
        if (refusals->items[i].more > 0)
            log_refusals(refusals, (enum refusal)i, refusals->items[i].more, NULL);
        refusals->items[i].logged_ms = refusals->items[i].more > 0 ? now_ms : 0;
        refusals->items[i].more = 0;
    }
}
