#include "redis/sentinel.h"

#include "base/clock.h"
#include "base/memory.h"
#include "redis/sentinel_peer.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_SENTINELS = REDIS_URL_HOSTS,
    ANSWER_MS = 1000,  /* so long a round waits for answers */
    POLL_MS = 5000,    /* an event may be missed */
    DOUBTED_MS = 250,  /* while the master is not there */
    SHORTEST_MS = 100, /* between two rounds, where nobody tells of a failover */
};

/* Why they are asked. */
static const char first_time[] = "they are asked for the first time";
static const char regularly[] = "they are asked every 5 s";
static const char switched[] = "one of them tells of a failover";
static const char doubted[] = "it could not be talked to";

struct sentinel {
    struct sentinel_options options;
    struct sentinel_callbacks callbacks;
    void *arg;
    char *client_name;
    char user[128], password[256];
    struct sentinel_peer *peers[MOST_SENTINELS];
    struct sentinel_answer answers[MOST_SENTINELS]; /* of this round */
    struct sentinel_answer refuted[MOST_SENTINELS]; /* what each named, and was no master */
    bool heard[MOST_SENTINELS];                     /* it has ever answered */
    size_t count, configured;
    struct sentinel_answer present; /* given: there is one */
    bool is_asking;                 /* a round is under way */
    bool is_doubted;
    const char *reason; /* of the round */
    int64_t asked_ms;
    struct event *timer; /* the end of the round, or the next one */
    char why[700];
};

static void arm_timer(struct sentinel *sentinel, int64_t ms)
{
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    evtimer_add(sentinel->timer, &tv);
}

/* --- What they say --- */

static void note_up(const struct sentinel *sentinel)
{
    uint64_t up = 0;
    for (size_t i = 0; i < sentinel->count; i++)
        up += sentinel->answers[i].given;
    sentinel->options.metrics->sentinels_up = up;
}

/* Somebody who answers says more than somebody who cannot be reached. */
static const char *find_reason(const struct sentinel *sentinel)
{
    const char *why = "";
    for (size_t i = 0; i < sentinel->count; i++) {
        if (sentinel_peer_is_ignorant(sentinel->peers[i]))
            return NULL;
        if (why[0] == '\0')
            why = sentinel_peer_why(sentinel->peers[i]);
    }
    return why;
}

static void tell_none(struct sentinel *sentinel)
{
    const char *reason = find_reason(sentinel);
    if (reason == NULL)
        snprintf(sentinel->why, sizeof sentinel->why,
                 "the Sentinels know no master \"%s\": its name is the word behind \"sentinel "
                 "monitor\" in their configuration",
                 sentinel->options.url->service);
    else
        snprintf(sentinel->why, sizeof sentinel->why,
                 "no Sentinel says where the master \"%s\" is; %s", sentinel->options.url->service,
                 reason[0] == '\0' ? "none has been reached yet" : reason);
    if (reason == NULL || reason[0] != '\0')
        sentinel->callbacks.on_asked(sentinel->arg, sentinel->why);
}

static void adopt(struct sentinel *sentinel, const struct sentinel_answer *answer)
{
    bool same = sentinel->present.given &&
                sentinel_vote_is_same(&sentinel->present.master, &answer->master);
    sentinel->present = *answer;
    sentinel->why[0] = '\0';
    if (same)
        return;
    sentinel->is_doubted = true;
    const struct sentinel_master master = {answer->master, answer->epoch, sentinel->reason};
    sentinel->callbacks.on_master(sentinel->arg, &master);
}

/* Of those that others have told of, the reachable ones: an address may be one of another network.
 */
static size_t count_known(const struct sentinel *sentinel)
{
    size_t known = sentinel->configured;
    for (size_t i = sentinel->configured; i < sentinel->count; i++)
        known += sentinel->heard[i];
    return known;
}

static void decide(struct sentinel *sentinel)
{
    int best = sentinel_vote(sentinel->answers, sentinel->count, &sentinel->present,
                             count_known(sentinel));
    if (best >= 0)
        adopt(sentinel, &sentinel->answers[best]);
}

/* --- Rounds --- */

static void end_round(struct sentinel *sentinel)
{
    bool any = false;
    for (size_t i = 0; i < sentinel->count; i++)
        any = any || sentinel->answers[i].given;
    sentinel->is_asking = false;
    note_up(sentinel);
    arm_timer(sentinel, sentinel->is_doubted ? DOUBTED_MS : POLL_MS);
    if (!any) {
        tell_none(sentinel);
        return;
    }
    sentinel->callbacks.on_asked(sentinel->arg, NULL);
    decide(sentinel);
}

/* Has everybody answered who can? At the first time, connections may still be on their way. */
static bool is_complete(const struct sentinel *sentinel)
{
    for (size_t i = 0; i < sentinel->count; i++)
        if (!sentinel->answers[i].given && (sentinel_peer_is_asked(sentinel->peers[i]) ||
                                            sentinel_peer_why(sentinel->peers[i])[0] == '\0'))
            return false;
    return true;
}

/* More than half have answered, or one has seen a failover that we have not. */
static bool is_enough(const struct sentinel *sentinel)
{
    size_t given = 0;
    for (size_t i = 0; i < sentinel->count; i++) {
        const struct sentinel_answer *answer = &sentinel->answers[i];
        given += answer->given;
        if (sentinel->present.given && answer->given && !answer->refuted &&
            answer->epoch > sentinel->present.epoch)
            return true;
    }
    return given > count_known(sentinel) / 2;
}

static void ask(struct sentinel *sentinel, const char *reason)
{
    if (!sentinel->is_asking) {
        memset(sentinel->answers, 0, sizeof sentinel->answers);
        arm_timer(sentinel, ANSWER_MS);
        sentinel->asked_ms = clock_monotonic_ms();
    }
    if (!sentinel->is_asking || reason == switched)
        sentinel->reason = reason;
    sentinel->is_asking = true;
    for (size_t i = 0; i < sentinel->count; i++)
        sentinel_peer_ask(sentinel->peers[i]);
}

/* Why they are asked when nobody tells of a failover. */
static const char *find_cause(const struct sentinel *sentinel)
{
    if (!sentinel->present.given)
        return first_time;
    return sentinel->is_doubted ? doubted : regularly;
}

static void remove_peer(struct sentinel *sentinel, size_t i)
{
    size_t last = --sentinel->count;
    sentinel_peer_free(sentinel->peers[i]);
    sentinel->peers[i] = sentinel->peers[last];
    sentinel->answers[i] = sentinel->answers[last];
    sentinel->refuted[i] = sentinel->refuted[last];
    sentinel->heard[i] = sentinel->heard[last];
    sentinel->answers[last].given = sentinel->refuted[last].given = sentinel->heard[last] = false;
}

/* The settings name one in another way than the others do: it is to have one vote. */
static void remove_twins(struct sentinel *sentinel)
{
    for (size_t i = sentinel->count; i-- > sentinel->configured;) {
        const char *id = sentinel_peer_id(sentinel->peers[i]);
        for (size_t j = 0; j < i; j++)
            if (id[0] != '\0' && strcmp(id, sentinel_peer_id(sentinel->peers[j])) == 0) {
                remove_peer(sentinel, i);
                break;
            }
    }
}

/* An address where none of those that others have told of has ever answered, and none does: others
 * may need the place. */
static void remove_absent(struct sentinel *sentinel)
{
    for (size_t i = sentinel->count; i-- > sentinel->configured;)
        if (!sentinel->heard[i] && sentinel_peer_why(sentinel->peers[i])[0] != '\0')
            remove_peer(sentinel, i);
}

/* While all is well: then each has told its id, and none gets two votes for a name and an address.
 */
static void look_for_others(struct sentinel *sentinel)
{
    remove_twins(sentinel);
    remove_absent(sentinel);
    for (size_t i = 0; i < sentinel->count; i++)
        sentinel_peer_ask_for_others(sentinel->peers[i]);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct sentinel *sentinel = arg;
    if (sentinel->is_asking)
        end_round(sentinel);
    else {
        if (find_cause(sentinel) == regularly)
            look_for_others(sentinel);
        ask(sentinel, find_cause(sentinel));
    }
}

/* --- What peers tell --- */

static size_t index_of(const struct sentinel *sentinel, const struct sentinel_peer *peer)
{
    size_t i = 0;
    while (i < sentinel->count && sentinel->peers[i] != peer)
        i++;
    return i;
}

static void on_ready(void *arg, struct sentinel_peer *peer)
{
    struct sentinel *sentinel = arg;
    if (sentinel->is_asking)
        sentinel_peer_ask(peer);
    else
        ask(sentinel, find_cause(sentinel));
}

static bool is_same_answer(const struct sentinel_answer *one, const struct sentinel_answer *other)
{
    return one->given && other->given && one->epoch == other->epoch &&
           sentinel_vote_is_same(&one->master, &other->master);
}

/* One that comes after its round may be the first that tells of a failover. */
static void on_answer(void *arg, struct sentinel_peer *peer)
{
    struct sentinel *sentinel = arg;
    size_t i = index_of(sentinel, peer);
    if (i == sentinel->count)
        return; /* while it is being made */
    struct sentinel_answer *answer = &sentinel->answers[i];
    *answer = *sentinel_peer_answer(peer);
    if (answer->given && is_same_answer(answer, &sentinel->refuted[i]))
        answer->refuted = true;
    else if (answer->given)
        sentinel->refuted[i].given = false;
    sentinel->heard[i] = sentinel->heard[i] || answer->given;
    if (sentinel->is_asking && is_complete(sentinel))
        end_round(sentinel);
    else if ((sentinel->is_asking || answer->given) && is_enough(sentinel))
        decide(sentinel);
}

static void on_switched(void *arg)
{
    ask(arg, switched);
}

static void on_promoting(void *arg)
{
    struct sentinel *sentinel = arg;
    sentinel->callbacks.on_promoting(sentinel->arg);
}

static void on_login_refused(void *arg)
{
    struct sentinel *sentinel = arg;
    sentinel->callbacks.on_login_refused(sentinel->arg);
}

static void add_peer(struct sentinel *sentinel, const struct redis_host *host);

/* One that answers and does not tell its id may be any of those that others tell of. */
static bool may_be(const struct sentinel *sentinel, size_t i, const struct redis_host *host,
                   const char *id)
{
    const struct redis_url *url = sentinel_peer_url(sentinel->peers[i]);
    const char *known = sentinel_peer_id(sentinel->peers[i]);
    return (strcmp(url->host, host->name) == 0 && url->port == host->port) ||
           (known[0] == '\0' ? sentinel->heard[i] : strcmp(known, id) == 0);
}

static void on_other(void *arg, const struct redis_host *host, const char *id)
{
    struct sentinel *sentinel = arg;
    for (size_t i = 0; i < sentinel->count; i++)
        if (may_be(sentinel, i, host, id))
            return;
    add_peer(sentinel, host);
}

/* --- The whole --- */

static void add_peer(struct sentinel *sentinel, const struct redis_host *host)
{
    static const struct sentinel_peer_callbacks callbacks = {
        on_ready, on_answer, on_switched, on_promoting, on_login_refused, on_other,
    };
    if (sentinel->count == MOST_SENTINELS)
        return;
    struct redis_url url = redis_url_of_server(sentinel->options.url, host->name, host->port);
    url.database = 0;
    memcpy(url.user, sentinel->user, sizeof url.user);
    memcpy(url.password, sentinel->password, sizeof url.password);
    const struct sentinel_peer_options options = {
        .base = sentinel->options.base,
        .url = &url,
        .service = sentinel->options.url->service,
        .tls = sentinel->options.tls,
        .client_name = sentinel->client_name,
        .metrics = sentinel->options.metrics,
        .callbacks = &callbacks,
        .arg = sentinel,
    };
    sentinel->peers[sentinel->count++] = sentinel_peer_new(&options);
    explicit_bzero(&url, sizeof url);
}

struct sentinel *sentinel_new(const struct sentinel_options *options,
                              const struct sentinel_callbacks *callbacks, void *arg)
{
    struct sentinel *sentinel = memory_new(sizeof *sentinel);
    sentinel->options = *options;
    sentinel->callbacks = *callbacks;
    sentinel->arg = arg;
    sentinel->client_name = memory_copy_string(options->client_name);
    snprintf(sentinel->user, sizeof sentinel->user, "%s",
             options->user == NULL ? "" : options->user);
    snprintf(sentinel->password, sizeof sentinel->password, "%s", options->password);
    sentinel->timer = evtimer_new(options->base, on_timer, sentinel);
    for (size_t i = 0; i < options->url->host_count; i++)
        add_peer(sentinel, &options->url->hosts[i]);
    sentinel->configured = sentinel->count;
    ask(sentinel, first_time);
    return sentinel;
}

void sentinel_free(struct sentinel *sentinel)
{
    if (sentinel == NULL)
        return;
    for (size_t i = 0; i < sentinel->count; i++)
        sentinel_peer_free(sentinel->peers[i]);
    event_free(sentinel->timer);
    free(sentinel->client_name);
    explicit_bzero(sentinel->password, sizeof sentinel->password);
    free(sentinel);
}

void sentinel_set_password(struct sentinel *sentinel, const char *password)
{
    snprintf(sentinel->password, sizeof sentinel->password, "%s", password);
    for (size_t i = 0; i < sentinel->count; i++)
        sentinel_peer_set_password(sentinel->peers[i], password);
}

void sentinel_doubt(struct sentinel *sentinel)
{
    int64_t since_ms = clock_monotonic_ms() - sentinel->asked_ms;
    sentinel->is_doubted = true;
    if (!sentinel->is_asking)
        arm_timer(sentinel, since_ms < SHORTEST_MS ? SHORTEST_MS - since_ms : 0);
}

void sentinel_refute(struct sentinel *sentinel)
{
    for (size_t i = 0; i < sentinel->count; i++) {
        if (!sentinel->answers[i].given ||
            !sentinel_vote_is_same(&sentinel->answers[i].master, &sentinel->present.master))
            continue;
        sentinel->answers[i].refuted = true;
        sentinel->refuted[i] = sentinel->answers[i];
    }
    sentinel_doubt(sentinel);
}

void sentinel_trust(struct sentinel *sentinel)
{
    sentinel->is_doubted = false;
    for (size_t i = 0; i < sentinel->count; i++)
        if (sentinel_vote_is_same(&sentinel->refuted[i].master, &sentinel->present.master))
            sentinel->refuted[i].given = false;
}

const char *sentinel_why_none(const struct sentinel *sentinel)
{
    if (sentinel->present.given)
        return NULL;
    return sentinel->why[0] == '\0' ? "no Sentinel has answered yet" : sentinel->why;
}
