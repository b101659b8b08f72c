#include "session/bans.h"

#include "base/clock.h"
#include "base/memory.h"
#include "broker/ban_lookup.h"
#include "session/session.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOKUPS_AT_ONCE = 64,    /* of up to 51 commands each: a millisecond or two of this loop */
    LOOKUPS_IN_A_TICK = 400, /* asked again: a hundredth of what Redis can do */
    MOST_LISTED = 256,       /* sessions of an address */
    PATIENCE_MS = 1000,      /* so long a newcomer waits for an answer */
};

/* An address that has connections here. In `due` while it is to be asked for, in `asked` while a
 * question is under way, in `answered` after that, in the order in which it came there. Lives as
 * long as one of them. */
struct watch {
    struct bans *bans;
    struct address address;
    struct link in_list;
    int64_t since_ms;          /* in that list */
    bool known;                /* Redis has answered since the first connection came, or has not
                                  in PATIENCE_MS */
    bool in_flight;            /* a question is under way */
    bool outdated;             /* a ban was written since: its answer is too old */
    char *reason;              /* NULL: not banned; "" for none */
    int64_t until_ms;          /* Redis' clock; 0: until it is lifted */
    size_t count;              /* of sessions with a connection */
    struct session **sessions; /* these; not of a crowd */
    bool crowded;              /* too many to list: a proxy that is not trusted, or a test */
};

struct bans {
    struct bans_options options;
    const struct commands *commands; /* the broker's */
    struct table *watches;           /* by address */
    struct link due, asked, answered;
    unsigned in_flight;   /* questions */
    struct event *asking; /* the timer that asks once for all who came in an iteration */
};

/* --- Who is there --- */

static struct table_key address_of(const void *value)
{
    const struct watch *watch = value;
    return (struct table_key){watch->address.bytes, sizeof watch->address.bytes};
}

static struct watch *find_watch(const struct bans *bans, const struct address *address)
{
    return table_find(bans->watches, address->bytes, sizeof address->bytes);
}

bool bans_can_be(const struct bans *bans, const struct address *address)
{
    const struct config_blocks *proxies = &bans->options.config->trusted_proxy_blocks;
    return !address->local_socket && !address_in_blocks(address, proxies->items, proxies->count);
}

static void put_behind(struct link *list, struct watch *watch)
{
    list_remove(&watch->in_list);
    list_add(list, &watch->in_list);
    watch->since_ms = clock_monotonic_ms();
}

static void free_watch(struct bans *bans, struct watch *watch)
{
    table_remove(bans->watches, watch);
    list_remove(&watch->in_list);
    free(watch->sessions);
    free(watch->reason);
    free(watch);
}

static void free_if_unused(struct bans *bans, struct watch *watch)
{
    if (watch->count == 0 && !watch->in_flight)
        free_watch(bans, watch);
}

static struct watch *get_watch(struct bans *bans, const struct address *address)
{
    static const struct timeval at_once = {0, 0};
    struct watch *watch = find_watch(bans, address);
    if (watch != NULL)
        return watch;
    watch = memory_new(sizeof *watch);
    watch->bans = bans;
    watch->address = *address;
    list_init(&watch->in_list);
    put_behind(&bans->due, watch);
    table_add(bans->watches, watch);
    if (!evtimer_pending(bans->asking, NULL))
        evtimer_add(bans->asking, &at_once);
    return watch;
}

static void list_session(struct watch *watch, struct session *session)
{
    if ((watch->count & (watch->count - 1)) == 0) /* a power of two, or none: it is full */
        watch->sessions = memory_resize(watch->sessions, watch->count == 0 ? 1 : watch->count * 2,
                                        sizeof(void *));
    watch->sessions[watch->count] = session;
}

void bans_enter(struct bans *bans, struct session *session)
{
    if (!bans_can_be(bans, &session->address))
        return;
    struct watch *watch = get_watch(bans, &session->address);
    if (watch->count >= MOST_LISTED) {
        free(watch->sessions);
        watch->sessions = NULL;
        watch->crowded = true;
    }
    if (!watch->crowded)
        list_session(watch, session);
    watch->count++;
}

void bans_exit(struct bans *bans, const struct session *session)
{
    struct watch *watch = find_watch(bans, &session->address);
    if (watch == NULL || session->address.local_socket)
        return;
    watch->count--;
    for (size_t i = 0; !watch->crowded && i < watch->count; i++)
        if (watch->sessions[i] == session)
            watch->sessions[i] = watch->sessions[watch->count];
    free_if_unused(bans, watch);
}

/* --- What is known --- */

bool bans_is_known(const struct bans *bans, const struct address *address)
{
    const struct watch *watch = find_watch(bans, address);
    return !bans_can_be(bans, address) || (watch != NULL && watch->known);
}

static bool is_banned(const struct bans *bans, const struct watch *watch)
{
    return watch->reason != NULL &&
           (watch->until_ms == 0 || commands_now_ms(bans->commands) < watch->until_ms);
}

bool bans_judge(const struct bans *bans, const struct address *address, struct message_error *error)
{
    const struct watch *watch = bans_can_be(bans, address) ? find_watch(bans, address) : NULL;
    if (watch == NULL || !is_banned(bans, watch))
        return false;
    if (error != NULL)
        *error = (struct message_error){
            .code = "banned",
            .message = watch->reason[0] != '\0' ? watch->reason : "You cannot come in here.",
            .until_ms = watch->until_ms,
        };
    return true;
}

/* --- Answers --- */

static void tell_those_in(const struct bans *bans, const struct watch *watch, struct link *list)
{
    struct link *next;
    for (struct link *at = list->next; at != list; at = next) {
        struct session *session = LIST_ITEM(at, struct session, in_entry);
        next = at->next;
        if (session->connection != NULL &&
            memcmp(session->address.bytes, watch->address.bytes, sizeof watch->address.bytes) == 0)
            bans->options.on_known(session);
    }
}

/* A connection that is closed ends later, so the sessions stay where they are. */
static void tell_known(const struct bans *bans, const struct watch *watch)
{
    struct room_entry *entry;
    for (size_t i = 0; !watch->crowded && i < watch->count; i++)
        bans->options.on_known(watch->sessions[i]);
    for (size_t at = 0;
         watch->crowded && (entry = session_next_entry(bans->options.all, &at)) != NULL;) {
        tell_those_in(bans, watch, &entry->members);
        tell_those_in(bans, watch, &entry->visitors);
    }
}

/* Takes the reason over. */
static void note_answer(struct bans *bans, struct watch *watch, char *reason, int64_t until_ms)
{
    bool first = !watch->known;
    free(watch->reason);
    watch->reason = reason;
    watch->until_ms = until_ms;
    watch->known = true;
    put_behind(&bans->answered, watch);
    if (first || is_banned(bans, watch))
        tell_known(bans, watch);
}

static void on_looked_up(void *arg, const struct ban_lookup_result *result)
{
    struct watch *watch = arg;
    struct bans *bans = watch->bans;
    bool good = result->known && !watch->outdated;
    bans->in_flight--;
    watch->in_flight = watch->outdated = false;
    if (good) {
        note_answer(bans, watch, result->reason, result->until_ms);
    } else {
        free(result->reason);
        put_behind(&bans->due, watch); /* nothing is known by this: bans_ask asks again */
    }
    free_if_unused(bans, watch);
    if (result->known)
        bans_ask(bans); /* else in the next tick: Redis refuses to tell */
}

/* --- Asking --- */

void bans_ask(struct bans *bans)
{
    while (broker_is_up(bans->options.broker) && bans->in_flight < LOOKUPS_AT_ONCE &&
           !list_is_empty(&bans->due)) {
        struct watch *watch = LIST_ITEM(bans->due.next, struct watch, in_list);
        if (ban_lookup(bans->commands, &watch->address, on_looked_up, watch) != 0)
            return;
        put_behind(&bans->asked, watch);
        watch->in_flight = true;
        bans->in_flight++;
    }
}

static void on_asking(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct bans *bans = arg;
    metrics_begin_iteration(bans->commands->metrics);
    bans_ask(bans);
}

void bans_renew(struct bans *bans, const struct address *address)
{
    struct watch *watch = find_watch(bans, address);
    if (watch == NULL)
        return;
    watch->known = false;
    watch->outdated = watch->in_flight;
    if (!watch->in_flight)
        put_behind(&bans->due, watch);
    bans_ask(bans);
}

static void let_in(const struct bans *bans, const struct link *list, int64_t before_ms)
{
    struct link *next;
    for (struct link *at = list->next; at != list; at = next) {
        struct watch *watch = LIST_ITEM(at, struct watch, in_list);
        next = at->next;
        if (watch->known || watch->since_ms > before_ms)
            continue;
        watch->known = true;
        tell_known(bans, watch);
    }
}

/* Of a cluster a node may be out of reach for long, and each address has names there: nobody new
 * could come into the rooms of the others, nor those who wait until so many questions are answered
 * that they can be asked for. Who is banned after all is put out by the answer. */
static void stop_waiting(const struct bans *bans)
{
    int64_t before_ms = clock_monotonic_ms() - PATIENCE_MS;
    if (list_is_empty(&bans->asked) ||
        LIST_ITEM(bans->asked.next, struct watch, in_list)->since_ms > before_ms)
        return;
    let_in(bans, &bans->asked, before_ms);
    let_in(bans, &bans->due, before_ms);
}

/* Those whose last answer is the oldest. */
void bans_tick(struct bans *bans)
{
    if (redis_is_cluster(bans->commands->redis)) /* else it answers nobody: no join either */
        stop_waiting(bans);
    for (int i = 0; i < LOOKUPS_IN_A_TICK && !list_is_empty(&bans->answered); i++)
        put_behind(&bans->due, LIST_ITEM(bans->answered.next, struct watch, in_list));
    bans_ask(bans);
}

/* --- Life --- */

struct bans *bans_new(const struct bans_options *options)
{
    struct bans *bans = memory_new(sizeof *bans);
    bans->options = *options;
    bans->commands = broker_commands(options->broker);
    bans->watches = table_new(address_of);
    list_init(&bans->due);
    list_init(&bans->asked);
    list_init(&bans->answered);
    bans->asking = evtimer_new(options->base, on_asking, bans);
    return bans;
}

void bans_free(struct bans *bans)
{
    if (bans == NULL)
        return;
    struct watch *watch;
    for (size_t at = 0; (watch = table_next(bans->watches, &at)) != NULL; at = 0)
        free_watch(bans, watch);
    table_free(bans->watches);
    event_free(bans->asking);
    free(bans);
}
