#include "session/rate_limit.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/address_limit.h"
#include "session/log.h"
#include "session/pressure.h"
#include "session/session.h"
#include "websocket/output.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_STRIKES = 100,
    PONG_WAIT_MS = 30000,
    LONGEST_PROMISE_MS = 3600000,
    FIRST_LINE_MS = 1000, /* after the first refusal: a count says more than a 1 */
    LOG_EVERY_MS = 60000,
    MOST_ENDED = 64, /* whose connection ended within the last minute: who comes back is known */
};

static const char ping_payload[] = "rate";

/* Who has sent more than it may, as long as its connection lasts, and for a minute longer. */
struct flood {
    struct link link;        /* sessions->floods, then ended_floods */
    struct session *session; /* NULL: its connection has ended */
    char id[TOKEN_ID_BYTES]; /* "" for who had not joined: then its address tells who it is */
    struct address address;
    uint64_t refused;  /* of this connection */
    uint64_t unlogged; /* since the last line */
    int64_t began_ms, logged_ms;
    int64_t promised_ms;     /* up to then tokens are promised */
    int64_t pinged_ms;       /* when it was pinged; 0: not yet */
    bool ponged;             /* the pong has come: it has read the refusal before the ping */
    int64_t last_message_ms; /* when it came, refused or not */
    int64_t struck_ms;
    double strikes;
};

/* Under pressure everything costs twice as much: so half of it may be sent. */
static const struct rate_limit *find_limit(const struct session *session)
{
    struct sessions *all = session->all;
    const struct rate_limit *limit = &all->options.config->rate;
    if (pressure_level(all->pressure) < PRESSURE_COSTS)
        return limit;
    all->dear_rate = (struct rate_limit){limit->per_second / 2, fmax(1, limit->burst / 2)};
    return &all->dear_rate;
}

/* --- Who it is --- */

static void write_who(struct flood *flood, const struct session *session)
{
    if (session->identity != NULL)
        memcpy(flood->id, session->identity->id, sizeof flood->id);
    flood->address = session->address;
}

static bool is_same(const struct flood *ended, const struct session *session)
{
    const char *id = session->identity == NULL ? "" : session->identity->id;
    return strcmp(ended->id, id) == 0 &&
           (id[0] != '\0' ||
            memcmp(ended->address.bytes, session->address.bytes, sizeof ended->address.bytes) == 0);
}

static void free_flood(struct flood *flood)
{
    list_remove(&flood->link);
    free(flood);
}

static void free_ended(struct sessions *all, struct flood *ended)
{
    all->ended_flood_count--;
    free_flood(ended);
}

/* Who came back within a minute goes on with the line that is due then. */
static void inherit_ended(struct flood *flood, const struct session *session)
{
    struct link *list = &session->all->ended_floods;
    for (struct link *at = list->next; at != list; at = at->next) {
        struct flood *ended = LIST_ITEM(at, struct flood, link);
        if (!is_same(ended, session))
            continue;
        flood->logged_ms = ended->logged_ms;
        flood->unlogged = ended->unlogged;
        free_ended(session->all, ended);
        return;
    }
}

static struct flood *find_flood(struct session *session, int64_t now_ms)
{
    if (session->flood != NULL)
        return session->flood;
    struct flood *flood = memory_new(sizeof *flood);
    flood->session = session;
    flood->began_ms = flood->struck_ms = flood->last_message_ms = now_ms;
    inherit_ended(flood, session);
    list_init(&flood->link);
    list_add(&session->all->floods, &flood->link);
    return session->flood = flood;
}

/* --- Its line in the log --- */

static void log_flood(struct flood *flood, int64_t now_ms)
{
    char count[24];
    snprintf(count, sizeof count, "%" PRIu64, flood->unlogged);
    session_log_more(flood->session,
                     &(struct log_line){
                         .level = LOG_LEVEL_WARN,
                         .kind = "flood",
                         .message = "sends more than rate allows; so much was refused",
                         .more = (const char *const[]){"count", count, NULL},
                     });
    flood->logged_ms = now_ms;
    flood->unlogged = 0;
}

static bool may_log_flood(const struct flood *flood, int64_t now_ms)
{
    return flood->unlogged > 0 &&
           (flood->logged_ms == 0 || now_ms - flood->logged_ms >= LOG_EVERY_MS);
}

static void log_live(struct sessions *all, int64_t now_ms)
{
    for (struct link *at = all->floods.next; at != &all->floods; at = at->next) {
        struct flood *flood = LIST_ITEM(at, struct flood, link);
        if (may_log_flood(flood, now_ms) && now_ms - flood->began_ms >= FIRST_LINE_MS)
            log_flood(flood, now_ms);
    }
}

static void forget_ended(struct sessions *all, int64_t now_ms)
{
    struct link *next;
    for (struct link *at = all->ended_floods.next; at != &all->ended_floods; at = next) {
        struct flood *ended = LIST_ITEM(at, struct flood, link);
        next = at->next;
        if (now_ms - ended->logged_ms >= LOG_EVERY_MS)
            free_ended(all, ended);
    }
}

void session_flood_tick(struct sessions *all)
{
    int64_t now_ms = clock_monotonic_ms();
    log_live(all, now_ms);
    forget_ended(all, now_ms);
}

void session_end_flood(struct session *session)
{
    struct sessions *all = session->all;
    struct flood *flood = session->flood;
    int64_t now_ms = clock_monotonic_ms();
    if (flood == NULL)
        return;
    if (may_log_flood(flood, now_ms))
        log_flood(flood, now_ms);
    write_who(flood, session);
    session->flood = NULL;
    flood->session = NULL;
    list_remove(&flood->link);
    list_add(&all->ended_floods, &flood->link);
    if (++all->ended_flood_count > MOST_ENDED)
        free_ended(all, LIST_ITEM(all->ended_floods.next, struct flood, link));
}

void session_free_floods(struct sessions *all)
{
    while (!list_is_empty(&all->floods))
        free_flood(LIST_ITEM(all->floods.next, struct flood, link));
    while (!list_is_empty(&all->ended_floods))
        free_ended(all, LIST_ITEM(all->ended_floods.next, struct flood, link));
}

uint64_t session_refused(const struct session *session)
{
    return session->flood == NULL ? 0 : session->flood->refused;
}

/* --- The end of who goes on --- */

static void strike(struct session *session, int64_t now_ms)
{
    struct flood *flood = session->flood;
    double forgotten = (double)(now_ms - flood->struck_ms) / 1000 * find_limit(session)->per_second;
    flood->strikes = fmax(0, flood->strikes - forgotten) + 1;
    flood->struck_ms = now_ms;
    if (flood->strikes >= MOST_STRIKES)
        connection_close(session->connection, 4429,
                         "too much, again and again: come back after a wait");
}

static struct flood *count_refusal(struct session *session, int64_t now_ms)
{
    struct flood *flood = find_flood(session, now_ms);
    flood->refused++;
    flood->unlogged++;
    refusals_note(session->all->options.refusals, REFUSAL_RATE, NULL);
    return flood;
}

/* What was promised is over, or nobody comes for it: the bucket has been full for as long as it
 * takes to fill. */
static void forgive_if_quiet(struct session *session, int64_t now_ms)
{
    struct flood *flood = session->flood;
    const struct rate_limit *limit = find_limit(session);
    if (flood == NULL)
        return;
    double quiet_ms = 2000 * limit->burst / limit->per_second + 1000;
    bool quiet =
        now_ms >= flood->promised_ms || (double)(now_ms - flood->last_message_ms) >= quiet_ms;
    flood->last_message_ms = now_ms;
    if (!quiet)
        return;
    flood->promised_ms = 0;
    if (flood->ponged)
        flood->pinged_ms = 0;
    flood->ponged = false;
}

/* Seconds after which there is a token that nobody else was promised. */
static double promise_s(struct session *session, int64_t now_ms)
{
    struct flood *flood = session->flood;
    const struct rate_limit *limit = find_limit(session);
    double step_ms = 1000 / limit->per_second;
    double wait_ms = rate_wait(&session->rate, limit) * 1000;
    double after_ms = (double)(flood->promised_ms - now_ms) + step_ms;
    if (flood->promised_ms != 0 && after_ms > wait_ms)
        wait_ms = after_ms;
    wait_ms = fmin(wait_ms, LONGEST_PROMISE_MS);
    flood->promised_ms = now_ms + (int64_t)ceil(wait_ms);
    return ceil(wait_ms / 100) / 10; /* told in tenths: never too short */
}

static void send_too_fast(struct session *session, const char *nonce, double wait_s)
{
    session_error(session, &(struct message_error){
                               .code = "too_fast",
                               .message = "That was too fast; please wait a moment.",
                               .nonce = nonce,
                               .retry_after = wait_s,
                               .not_accepted = nonce != NULL,
                           });
}

static void refuse_message(struct session *session, const char *nonce, int64_t now_ms)
{
    struct flood *flood = count_refusal(session, now_ms);
    send_too_fast(session, nonce, promise_s(session, now_ms));
    if (flood->pinged_ms == 0) {
        flood->pinged_ms = now_ms;
        connection_send(session->connection, FRAME_PING, ping_payload, sizeof ping_payload - 1);
    } else if (flood->ponged || now_ms - flood->pinged_ms >= PONG_WAIT_MS) {
        strike(session, now_ms);
    }
}

/* --- Taking a token --- */

static bool has_token(struct session *session, enum address_rate kind, const char *nonce)
{
    int64_t now_ms = clock_monotonic_ms();
    forgive_if_quiet(session, now_ms);
    if (rate_take(&session->rate, find_limit(session), RATE_WORDS, now_ms))
        return session_address_allows(session, kind, nonce);
    refuse_message(session, nonce, now_ms);
    return false;
}

bool session_has_token(struct session *session, const char *nonce)
{
    return has_token(session, ADDRESS_WORDS, nonce);
}

bool session_has_join_token(struct session *session)
{
    return has_token(session, ADDRESS_JOINS, NULL);
}

bool session_has_sign_token(struct session *session)
{
    int64_t now_ms = clock_monotonic_ms();
    if (rate_take(&session->rate, &session->all->options.config->rate, RATE_SIGNS, now_ms))
        return session_address_wait(session, ADDRESS_SIGNS) <= 0;
    count_refusal(session, now_ms);
    strike(session, now_ms);
    return false;
}

bool session_on_control(void *owner, bool ping, const uint8_t *data, size_t len)
{
    struct session *session = owner;
    struct flood *flood = session->flood;
    bool answers = !ping && flood != NULL && flood->pinged_ms != 0 && !flood->ponged &&
                   len == sizeof ping_payload - 1 && memcmp(data, ping_payload, len) == 0;
    if (!answers)
        return session_has_sign_token(session);
    flood->ponged = true;
    return true;
}
