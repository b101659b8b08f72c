#include "redis/cluster_router.h"

#include "base/clock.h"
#include "base/memory.h"
#include "redis/cluster_held.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    AGAIN_MS = 50,
    AGAIN_US = 50000,
    HELD_UP_MS = 1000, /* between two looks: this process did not run */
    MOST_HOPS = 5,
    MOST_LATE = 65536, /* commands that had to wait and are not answered yet */
};

/* What became of the commands of a slot. */
struct slot_order {
    const struct cluster_link *link; /* over which one was last sent; NULL: none, or it is gone */
    uint64_t answered;               /* the latest that is answered; 0: none */
};

struct cluster_router {
    struct cluster *cluster;
    struct cluster_links *links;
    struct metrics *metrics;
    struct cluster_held_slots *held;
    struct link late;             /* commands that had to wait, */
    size_t late_count;            /* so many */
    struct event *timer;          /* while there are such */
    struct cluster_command *last; /* that was sent; NULL once it is answered */
    uint64_t count;               /* of commands, ever */
    struct slot_order *orders;    /* by slot */
    int64_t looked_ms;
    bool stopped;
    bool not_carried_out; /* what is just being answered, by nothing */
};

/* --- Commands --- */

/* EVALSHA HASH COUNT KEY…; else the key is behind the name. */
unsigned cluster_router_slot(const struct cluster_router *router, const struct redis_words *words)
{
    static const char *const keyless[] = {"TIME", "INFO", "CONFIG", "SCRIPT", "PING", "WAIT"};
    size_t len, key_len;
    const char *name = redis_words_at(words, 0, &len);
    for (size_t i = 0; i < sizeof keyless / sizeof *keyless; i++)
        if (len == strlen(keyless[i]) && memcmp(name, keyless[i], len) == 0)
            return cluster_home_slot(router->cluster);
    bool script = len >= 4 && memcmp(name, "EVAL", 4) == 0;
    const char *key = redis_words_at(words, script ? 3 : 1, &key_len);
    return key == NULL ? cluster_home_slot(router->cluster) : cluster_slot(key, key_len);
}

static struct cluster_command *new_command(struct cluster_router *router, unsigned slot,
                                           const struct redis_words *words, redis_done done,
                                           void *arg)
{
    struct cluster_command *command = memory_new(sizeof *command);
    command->router = router;
    command->words.count = words->count;
    text_add(&command->words.bytes, words->bytes.data, words->bytes.len);
    command->done = done;
    command->arg = arg;
    command->deadline_ms = clock_monotonic_ms() + REDIS_DEADLINE_MS;
    command->slot = slot;
    command->number = ++router->count;
    list_init(&command->in_slot);
    list_init(&command->in_late);
    return command;
}

static void note_late(struct cluster_command *command)
{
    struct cluster_router *router = command->router;
    if (!list_is_empty(&command->in_late))
        return;
    list_add(&router->late, &command->in_late);
    router->late_count++;
}

static void forget_late(struct cluster_command *command)
{
    if (list_is_empty(&command->in_late))
        return;
    list_remove(&command->in_late);
    command->router->late_count--;
}

/* It is answered, by `reply` or by nothing. */
static void finish(struct cluster_command *command, const struct redis_reply *reply)
{
    redis_done done = command->done;
    void *arg = command->arg;
    if (command->router->last == command)
        command->router->last = NULL;
    list_remove(&command->in_slot);
    forget_late(command);
    redis_words_done(&command->words);
    free(command);
    if (done != NULL)
        done(arg, reply);
}

static void on_answer(void *arg, const struct redis_reply *reply);

static bool send_over(struct cluster_command *command, struct cluster_link *link, bool asking)
{
    struct slot_order *order = &command->router->orders[command->slot];
    if (link == NULL || link->place == 0)
        return false;
    if (asking)
        redis_connection_send_strings(link->connection, NULL, NULL, "ASKING", NULL);
    if (redis_connection_send(link->connection, &command->words, on_answer, command) != 0)
        return false;
    if (command->optional)
        redis_connection_mark_optional(link->connection);
    link->sent++;
    order->link = link;
    command->settled = order->answered > command->number ? order->answered : command->number;
    command->link = link;
    command->asking = asking;
    return true;
}

/* --- Commands that wait --- */

static void arm(struct cluster_router *router)
{
    static const struct timeval again = {0, AGAIN_US};
    if (router->stopped || evtimer_pending(router->timer, NULL))
        return;
    router->looked_ms = clock_monotonic_ms();
    evtimer_add(router->timer, &again);
}

static struct cluster_held *hold_slot(struct cluster_router *router, unsigned slot)
{
    struct cluster_held *held = cluster_held_find(router->held, slot);
    arm(router);
    return held != NULL ? held : cluster_held_open(router->held, slot);
}

/* Where the first of them is to be tried. */
static struct cluster_link *next_link(struct cluster_router *router,
                                      const struct cluster_held *held)
{
    return held->ask ? cluster_links_find(router->links, &held->asked)
                     : cluster_links_of_slot(router->links, held->slot);
}

static void try_first(struct cluster_router *router, struct cluster_held *held)
{
    struct cluster_command *first = cluster_held_first(held);
    struct cluster_link *link = next_link(router, held);
    held->under_way = send_over(first, link, held->ask);
    held->ask = false;
    if (!held->under_way) {
        held->retry_ms = clock_monotonic_ms() + AGAIN_MS;
        cluster_refresh(router->cluster);
    }
}

/* May free it. */
static void advance(struct cluster_router *router, struct cluster_held *held)
{
    if (held->under_way)
        return;
    if (cluster_held_first(held) == NULL) {
        if (cluster_held_is_open(held)) /* then there is none at all */
            cluster_held_close(router->held, held);
    } else if (clock_monotonic_ms() >= held->retry_ms) {
        try_first(router, held);
    }
}

/* The slot is served: all others go out, in order, unless some are to come back that go first. */
static void release(struct cluster_router *router, struct cluster_held *held)
{
    struct cluster_command *first;
    held->under_way = false;
    held->hops = 0;
    held->retry_ms = 0;
    while (cluster_held_is_open(held) && (first = cluster_held_first(held)) != NULL &&
           send_over(first, next_link(router, held), false))
        list_remove(&first->in_slot);
    advance(router, held);
}

static void expire(struct cluster_router *router, struct cluster_command *command)
{
    router->metrics->redis_timeouts++;
    if (command->link == NULL) {
        router->not_carried_out = true;
        finish(command, NULL);
        router->not_carried_out = false;
        return;
    }
    redis_done done = command->done;
    command->done = NULL; /* the answer is dropped */
    if (done != NULL)
        done(command->arg, NULL);
}

/* When this process did not run, the answers may be there unread. */
static void expire_late(struct cluster_router *router, int64_t now_ms)
{
    struct link *next;
    bool held_up = now_ms - router->looked_ms > HELD_UP_MS;
    for (struct link *at = router->late.next; at != &router->late; at = next) {
        struct cluster_command *command = LIST_ITEM(at, struct cluster_command, in_late);
        next = at->next;
        if (held_up && command->deadline_ms <= now_ms)
            command->deadline_ms = now_ms + HELD_UP_MS;
        else if (command->deadline_ms <= now_ms && (command->done != NULL || command->link == NULL))
            expire(router, command);
    }
}

static void advance_all(struct cluster_router *router)
{
    struct cluster_held *next;
    for (struct cluster_held *held = cluster_held_next(router->held, NULL); held != NULL;
         held = next) {
        next = cluster_held_next(router->held, held);
        advance(router, held);
    }
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct cluster_router *router = arg;
    metrics_begin_iteration(router->metrics);
    expire_late(router, clock_monotonic_ms());
    advance_all(router);
    if (!list_is_empty(&router->late) || cluster_held_next(router->held, NULL) != NULL)
        arm(router);
}

void cluster_router_retry(struct cluster_router *router)
{
    for (struct cluster_held *held = NULL; (held = cluster_held_next(router->held, held)) != NULL;)
        held->retry_ms = 0;
    advance_all(router);
}

/* --- Answers --- */

/* A node that cannot carry out anything now: nothing was done. */
static bool is_to_repeat(const struct redis_error *error)
{
    static const char *const words[] = {"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN",
                                        "READONLY"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(error->word, words[i]) == 0)
            return true;
    return false;
}

static bool is_redirection(const struct redis_error *error)
{
    return strcmp(error->word, "MOVED") == 0 || strcmp(error->word, "ASK") == 0;
}

bool cluster_router_sees_to(const struct redis_error *error)
{
    return is_redirection(error) || is_to_repeat(error);
}

/* The command waits in its slot: in front, when it was the one that was tried; else behind those
 * that came back before it. */
static struct cluster_held *take_back(struct cluster_router *router,
                                      struct cluster_command *command, struct cluster_link *link)
{
    struct cluster_held *held = hold_slot(router, command->slot);
    if (held->under_way && cluster_held_first(held) == command) {
        held->under_way = false;
    } else {
        cluster_held_take_back(held, command, link);
        note_late(command);
    }
    return held;
}

/* Keys of a slot move one by one: ASK is about those of this command, and of no other. */
static void follow(struct cluster_router *router, struct cluster_held *held,
                   const struct cluster_command *command, const struct cluster_redirection *to)
{
    if (to->ask && cluster_held_first(held) != command)
        return; /* it gets its own when it is the first */
    held->hops++;
    if (to->ask) {
        held->ask = true;
        held->asked = to->node;
    } else {
        struct cluster_link *link = cluster_links_find(router->links, &to->node);
        if (link != NULL)
            link->named_ms = clock_monotonic_ms();
        cluster_note_moved(router->cluster, to);
    }
    if (held->hops <= MOST_HOPS)
        return;
    held->hops = 0;
    held->ask = false;
    held->retry_ms = clock_monotonic_ms() + AGAIN_MS;
}

/* Was a later command of its slot answered, or sent elsewhere, since it was sent? The map may be
 * another one; what waits for its coming back was not sent. */
static bool is_overtaken(const struct cluster_command *command, const struct cluster_link *link)
{
    const struct cluster_router *router = command->router;
    const struct slot_order *order = &router->orders[command->slot];
    const struct cluster_held *held = cluster_held_find(router->held, command->slot);
    bool awaited = held != NULL && held->fence == link && !cluster_held_is_open(held);
    if (!list_is_empty(&command->in_slot))
        return false; /* it is the first of those that wait */
    return order->answered > command->settled || (order->link != link && !awaited) ||
           (held != NULL && cluster_held_last_number(held) > command->number);
}

static void note_answered(struct cluster_command *command)
{
    struct slot_order *order = &command->router->orders[command->slot];
    if (order->answered < command->number)
        order->answered = command->number;
}

/* Is it to be sent again? Then that is seen to. Else the error is the answer: it was not carried
 * out. */
static bool send_again(struct cluster_command *command, struct cluster_link *link,
                       const struct redis_reply *reply)
{
    struct cluster_router *router = command->router;
    struct redis_error error;
    struct cluster_redirection to;
    if (router->stopped || !redis_reply_error(reply, &error))
        return false;
    bool redirected = is_redirection(&error) &&
                      cluster_redirection_read(redis_reply_string(reply, NULL), /* whole */
                                               link->endpoint.url.host, &to);
    if (!cluster_router_sees_to(&error) || is_overtaken(command, link))
        return false;
    struct cluster_held *held = take_back(router, command, link);
    link->answered++; /* behind it: it goes before what waits for the link */
    if (redirected) {
        follow(router, held, command, &to);
    } else {
        held->retry_ms = clock_monotonic_ms() + AGAIN_MS;
        if (strcmp(error.word, "TRYAGAIN") != 0)
            cluster_refresh(router->cluster);
    }
    if (command->done == NULL && command->deadline_ms <= clock_monotonic_ms())
        finish(command, NULL); /* it is too late for it */
    advance(router, held);
    return true;
}

/* A master that was replaced, as it froze, goes on when it wakes up. What it writes then is lost,
 * and nobody hears of it. One that has just taken its place is not in the map of all nodes yet. */
static bool is_of_replaced(const struct cluster_command *command, const struct cluster_link *link)
{
    bool just_named =
        link->named_ms != 0 && clock_monotonic_ms() - link->named_ms < REDIS_DEADLINE_MS;
    return !link->in_map && !command->asking && !just_named;
}

static void on_answer(void *arg, const struct redis_reply *reply)
{
    struct cluster_command *command = arg;
    struct cluster_router *router = command->router;
    struct cluster_link *link = command->link;
    command->link = NULL;
    if (send_again(command, link, reply))
        return;
    if (!redis_reply_is_error(reply) && is_of_replaced(command, link))
        reply = NULL;
    link->answered++;
    note_answered(command);
    struct cluster_held *held = cluster_held_find(router->held, command->slot);
    if (held != NULL && held->under_way && cluster_held_first(held) == command) {
        list_remove(&command->in_slot);
        release(router, held);
    }
    finish(command, reply);
}

/* --- The whole --- */

int cluster_router_send(struct cluster_router *router, unsigned slot,
                        const struct redis_words *words, redis_done done, void *arg)
{
    struct cluster_held *held = cluster_held_find(router->held, slot);
    struct cluster_link *link = held == NULL ? cluster_links_of_slot(router->links, slot) : NULL;
    bool waits = link == NULL || link->place == 0;
    if (router->stopped || (waits && router->late_count >= MOST_LATE))
        return -1;
    struct cluster_command *command = new_command(router, slot, words, done, arg);
    router->last = command;
    if (send_over(command, link, false))
        return 0;
    held = hold_slot(router, slot);
    cluster_held_add(held, command);
    note_late(command);
    advance(router, held);
    return 0;
}

void cluster_router_mark_optional(struct cluster_router *router)
{
    struct cluster_command *last = router->last;
    if (last == NULL)
        return;
    last->optional = true;
    if (last->link != NULL)
        redis_connection_mark_optional(last->link->connection);
}

bool cluster_router_not_carried_out(const struct cluster_router *router)
{
    return router->not_carried_out;
}

void cluster_router_forget_link(struct cluster_router *router, const struct cluster_link *link)
{
    cluster_held_forget_link(router->held, link);
    for (size_t i = 0; i < CLUSTER_SLOTS; i++)
        if (router->orders[i].link == link)
            router->orders[i].link = NULL;
}

struct cluster_router *cluster_router_new(struct event_base *base, struct cluster *cluster,
                                          struct cluster_links *links, struct metrics *metrics)
{
    struct cluster_router *router = memory_new(sizeof *router);
    router->cluster = cluster;
    router->links = links;
    router->metrics = metrics;
    list_init(&router->late);
    router->held = cluster_held_new();
    router->orders = memory_new(CLUSTER_SLOTS * sizeof *router->orders);
    router->timer = evtimer_new(base, on_timer, router);
    return router;
}

void cluster_router_stop(struct cluster_router *router)
{
    struct cluster_held *held;
    struct cluster_command *first;
    router->stopped = true;
    evtimer_del(router->timer);
    while ((held = cluster_held_next(router->held, NULL)) != NULL) {
        while ((first = cluster_held_any(held)) != NULL)
            finish(first, NULL);
        cluster_held_close(router->held, held);
    }
}

void cluster_router_free(struct cluster_router *router)
{
    cluster_router_stop(router);
    cluster_held_free(router->held);
    free(router->orders);
    event_free(router->timer);
    free(router);
}
