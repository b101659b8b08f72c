#include "session/newcomers.h"

#include "base/clock.h"
#include "base/memory.h"
#include "protocol/work.h"
#include "session/pressure.h"
#include "session/rules.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

enum {
    BITS = 17,         /* 131,072 hashes on average: a browser takes about half a second */
    MOST_USED = 10000, /* each has cost a client that work; the oldest are forgotten */
};

struct used {
    struct link link; /* the oldest first */
    int64_t used_ms;
    char challenge[WORK_CHALLENGE_BYTES];
};

struct newcomers {
    struct table *used; /* by challenge */
    struct link in_order;
};

static struct table_key challenge_of(const void *value)
{
    const struct used *used = value;
    return (struct table_key){used->challenge, strlen(used->challenge)};
}

static struct used *find_used(const struct newcomers *newcomers, const char *challenge)
{
    return table_find(newcomers->used, challenge, strlen(challenge));
}

static void free_used(struct newcomers *newcomers, struct used *used)
{
    table_remove(newcomers->used, used);
    list_remove(&used->link);
    free(used);
}

static void add_used(struct newcomers *newcomers, const char *challenge)
{
    struct used *used = memory_new(sizeof *used);
    if (table_count(newcomers->used) >= MOST_USED)
        free_used(newcomers, LIST_ITEM(newcomers->in_order.next, struct used, link));
    memcpy(used->challenge, challenge, strlen(challenge) + 1);
    used->used_ms = clock_monotonic_ms();
    list_init(&used->link);
    list_add(&newcomers->in_order, &used->link);
    table_add(newcomers->used, used);
}

void newcomers_tick(struct newcomers *newcomers)
{
    int64_t old_ms = clock_monotonic_ms() - (int64_t)(WORK_LIFE_S + WORK_AHEAD_S) * 1000;
    while (!list_is_empty(&newcomers->in_order)) {
        struct used *used = LIST_ITEM(newcomers->in_order.next, struct used, link);
        if (used->used_ms > old_ms)
            return;
        free_used(newcomers, used);
    }
}

/* --- Work --- */

static struct work_terms find_terms(const struct session *session)
{
    const struct sessions *all = session->all;
    return (struct work_terms){address_key_today(all->address_key), session->address.bytes,
                               session_redis_now_ms(all) / 1000};
}

void newcomers_take_work(struct session *session, const struct message_in *join)
{
    struct newcomers *newcomers = session->all->newcomers;
    struct joining *joining = session->joining;
    const struct work_terms terms = find_terms(session);
    if (join->challenge == NULL || join->work == NULL || terms.key == NULL ||
        !work_is_done(&terms, BITS, join->challenge, join->work) ||
        find_used(newcomers, join->challenge) != NULL)
        return;
    memcpy(joining->challenge, join->challenge, strlen(join->challenge) + 1);
    add_used(newcomers, joining->challenge);
}

void newcomers_give_work_back(struct session *session)
{
    struct newcomers *newcomers = session->all->newcomers;
    struct used *used = find_used(newcomers, session->joining->challenge);
    if (used != NULL)
        free_used(newcomers, used);
}

/* --- Judging --- */

static bool judge_locked(const struct session *session, struct message_error *error)
{
    const struct sessions *all = session->all;
    return rules_judge_locked(all->rules, room_name(session->entry->room),
                              session_redis_now_ms(all), error);
}

bool newcomers_may_not(const struct session *session)
{
    unsigned level = pressure_level(session->all->pressure);
    struct message_error error;
    return level >= PRESSURE_CLOSED ||
           (level == PRESSURE_WORK && session->joining->challenge[0] == '\0') ||
           judge_locked(session, &error);
}

static void ask_for_work(const struct session *session, char challenge[WORK_CHALLENGE_BYTES],
                         struct message_error *out)
{
    const struct work_terms terms = find_terms(session);
    if (terms.key == NULL) { /* the day has just changed */
        *out = (struct message_error){
            .code = "unavailable", .message = "Please try again.", .retry_after = 1};
        return;
    }
    work_make(&terms, BITS, challenge);
    *out = (struct message_error){
        .code = "work_needed",
        .message = "Many people want to come in: a proof of work is needed.",
        .challenge = challenge,
        .bits = BITS,
    };
}

/* What this gateway knows of a lock, Redis may not know any more. */
void newcomers_explain(const struct session *session, char challenge[WORK_CHALLENGE_BYTES],
                       struct message_error *out)
{
    const struct pressure *pressure = session->all->pressure;
    if (judge_locked(session, out))
        return;
    if (pressure_level(pressure) >= PRESSURE_CLOSED)
        *out = rules_locked_error("", pressure_until_ms(pressure));
    else
        ask_for_work(session, challenge, out);
}

/* --- Life --- */

struct newcomers *newcomers_new(void)
{
    struct newcomers *newcomers = memory_new(sizeof *newcomers);
    newcomers->used = table_new(challenge_of);
    list_init(&newcomers->in_order);
    return newcomers;
}

void newcomers_free(struct newcomers *newcomers)
{
    if (newcomers == NULL)
        return;
    while (!list_is_empty(&newcomers->in_order))
        free_used(newcomers, LIST_ITEM(newcomers->in_order.next, struct used, link));
    table_free(newcomers->used);
    free(newcomers);
}
