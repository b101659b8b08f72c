#include "cluster/failure_detector.h"

#include "base/clock.h"
#include "base/memory.h"
#include "broker/script_settings.h"
#include "broker/topic.h"
#include "cluster/internal.h"
#include "cluster/reaper.h"
#include "redis/error_log.h"
#include "redis/limiter.h"
#include "telemetry/metrics.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { SHORTEST_POLL_MS = 100, ID_BYTES = 65 };
enum { POLLS_TO_LOOK_CLOSER = 16 };

/* A gateway that was seen without a key. */
struct suspect {
    struct link link;
    int64_t since_ms;
    bool seen; /* still without a key at this poll */
    bool left; /* it gave its lease back */
    char id[];
};

/* --- Suspects --- */

/* A lease was renewed at most a third of it before the death. From the moment its key is missing,
 * members still have what is left of the grace after two thirds of a lease. At least a second, if
 * the grace has one: the living may just be about to renew theirs. After
 * failure_detector_reset nothing is known of the time before, and the grace begins when the key
 * is found missing. So it does when a gateway gave its lease back at its end. */
static int64_t wait_ms(const struct failure_detector *detector, const struct suspect *suspect)
{
    const struct config *config = detector->config;
    int64_t grace_ms = (int64_t)config->leave_grace * 1000;
    int64_t lease_ms = (int64_t)config->lease * 1000;
    if (suspect->left)
        return grace_ms;
    if (detector->reset_ms != 0 && suspect->since_ms - detector->reset_ms < lease_ms)
        return grace_ms;
    int64_t wait = grace_ms - lease_ms * 2 / 3;
    int64_t least = grace_ms < 1000 ? grace_ms : 1000;
    return wait > least ? wait : least;
}

/* Its members may be among those who are coming back here, and are let in first. */
static bool may_reap(const struct failure_detector *detector)
{
    return !limiter_is_congested(broker_commands(detector->broker)->limiter);
}

static int64_t poll_ms(const struct config *config)
{
    int64_t every_ms = (int64_t)config->lease * 100;
    return every_ms > SHORTEST_POLL_MS ? every_ms : SHORTEST_POLL_MS;
}

static struct suspect *find_suspect(struct failure_detector *detector, const char *id)
{
    for (struct link *at = detector->suspects.next; at != &detector->suspects; at = at->next) {
        struct suspect *suspect = LIST_ITEM(at, struct suspect, link);
        if (strcmp(suspect->id, id) == 0)
            return suspect;
    }
    return NULL;
}

static void forget_suspect(struct suspect *suspect)
{
    list_remove(&suspect->link);
    free(suspect);
}

static void on_lease_expiring(void *arg, const struct redis_reply *reply)
{
    struct failure_detector *detector = arg;
    if (redis_reply_integer(reply) != 0)
        error_log_repair(detector->log, "gateway", &detector->repair_logged);
}

/* --- Channels of the other kind --- */

/* Whose lease is asked for them. */
struct pubsub_question {
    struct failure_detector *detector;
    char id[];
};

static void on_pubsub(void *arg, const struct redis_reply *reply)
{
    struct pubsub_question *question = arg;
    struct failure_detector *detector = question->detector;
    const char *theirs = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, NULL);
    bool differs = theirs != NULL && strcmp(theirs, script_settings_pubsub(detector->config)) != 0;
    if (differs && !detector->pubsub_logged)
        log_write(detector->log,
                  &(struct log_line){.level = LOG_LEVEL_ERROR,
                                     .kind = "gateway-differs",
                                     .id = question->id,
                                     .message =
                                         "the gateway of this id has another redis-sharded-pubsub "
                                         "than this one: their members do not see each other's "
                                         "lines; set one value, and restart all gateways"});
    detector->pubsub_logged |= differs;
    free(question);
}

static void compare_pubsub(struct failure_detector *detector, const char *id, const char *key)
{
    struct pubsub_question *question = memory_new(sizeof *question + strlen(id) + 1);
    question->detector = detector;
    memcpy(question->id, id, strlen(id) + 1);
    if (redis_send_strings(detector->redis, on_pubsub, question, "HGET", key, "pubsub", NULL) != 0)
        free(question);
}

/* --- Asking after one --- */

/* The replies to two EXISTS for the gateway `id`, whose copy this owns. In a cluster they come from
 * two nodes, in any order. */
struct check {
    struct failure_detector *detector;
    int64_t asked_ms;
    unsigned unanswered;
    bool alive; /* its key is there */
    bool left;  /* the word that it has stopped is */
    bool failed;
    char id[];
};

static void judge(struct check *check)
{
    struct failure_detector *detector = check->detector;
    struct suspect *suspect = find_suspect(detector, check->id);
    bool alive = check->alive;
    int64_t now_ms = clock_monotonic_ms();
    bool valid = !check->failed && !reaper_is_stale(check->asked_ms);
    if (valid && alive)
        sightings_note(&detector->metrics->gateways, check->id, now_ms);
    if (valid && alive && suspect != NULL) {
        forget_suspect(suspect);
    } else if (valid && !alive) {
        if (suspect == NULL) {
            suspect = memory_new(sizeof *suspect + strlen(check->id) + 1);
            memcpy(suspect->id, check->id, strlen(check->id) + 1);
            suspect->since_ms = now_ms;
            list_init(&suspect->link);
            list_add(&detector->suspects, &suspect->link);
        }
        suspect->seen = true;
        suspect->left = check->left;
        if (now_ms - suspect->since_ms >= wait_ms(detector, suspect) && may_reap(detector))
            reaper_claim(detector, check->id, check->left);
    }
    free(check);
}

static void take_answer(struct check *check, bool *there, const struct redis_reply *reply)
{
    *there = redis_reply_integer(reply) != 0;
    check->failed |= redis_reply_is_error(reply);
    if (--check->unanswered == 0)
        judge(check);
}

static void on_left_checked(void *arg, const struct redis_reply *reply)
{
    struct check *check = arg;
    take_answer(check, &check->left, reply);
}

static void on_checked(void *arg, const struct redis_reply *reply)
{
    struct check *check = arg;
    take_answer(check, &check->alive, reply);
}

static void ask_whether(struct check *check, const char *key, redis_done done)
{
    if (redis_send_strings(check->detector->redis, done, check, "EXISTS", key, NULL) == 0)
        check->unanswered++;
    else
        check->failed = true;
}

static void look_closer(struct failure_detector *detector, const char *id, const char *key)
{
    reaper_expire(detector, key, on_lease_expiring); /* else the dead live for ever */
    if (script_settings_pubsub(detector->config) != NULL)
        compare_pubsub(detector, id, key);
}

static void check_gateway(struct failure_detector *detector, const char *id)
{
    struct check *check = memory_new(sizeof *check + strlen(id) + 1);
    struct key key = key_gateway(detector->config->redis_prefix, id);
    struct key gone = key_gateway_gone(detector->config->redis_prefix, id);
    check->detector = detector;
    check->asked_ms = clock_monotonic_ms();
    memcpy(check->id, id, strlen(id) + 1);
    if (detector->polls % POLLS_TO_LOOK_CLOSER == 1)
        look_closer(detector, id, key.text);
    ask_whether(check, gone.text, on_left_checked);
    ask_whether(check, key.text, on_checked);
    if (check->unanswered == 0)
        free(check);
}

/* Forgets those who were not seen dead since the poll before: they live, or are reaped. */
static void sweep_suspects(struct failure_detector *detector)
{
    struct link *next;
    for (struct link *at = detector->suspects.next; at != &detector->suspects; at = next) {
        struct suspect *suspect = LIST_ITEM(at, struct suspect, link);
        next = at->next;
        if (!suspect->seen)
            forget_suspect(suspect);
        else
            suspect->seen = false;
    }
}

/* --- Polling --- */

static void on_gateways(void *arg, const struct redis_reply *reply)
{
    struct failure_detector *detector = arg;
    if (redis_reply_is_error(reply))
        return;
    sweep_suspects(detector);
    detector->polls++;
    sightings_begin_list(&detector->metrics->gateways);
    sightings_list(&detector->metrics->gateways, detector->config->gateway_id);
    for (size_t i = 0; i < redis_reply_count(reply); i++) {
        size_t len;
        const char *id = redis_reply_string(redis_reply_at(reply, i), &len);
        if (id == NULL || len >= ID_BYTES || strcmp(id, detector->config->gateway_id) == 0)
            continue;
        sightings_list(&detector->metrics->gateways, id);
        check_gateway(detector, id);
    }
    sightings_end_list(&detector->metrics->gateways);
}

void failure_detector_reset(struct failure_detector *detector)
{
    detector->reset_ms = detector->own_since_ms = clock_monotonic_ms();
    while (!list_is_empty(&detector->suspects))
        forget_suspect(LIST_ITEM(detector->suspects.next, struct suspect, link));
}

void failure_detector_hold_own(struct failure_detector *detector)
{
    detector->own_since_ms = clock_monotonic_ms();
}

/* A gateway that was restarted under its old id: nobody else reaps the earlier incarnation. */
static bool is_own_due(const struct failure_detector *detector)
{
    return !list_is_empty(&detector->own_rooms) &&
           clock_monotonic_ms() - detector->own_since_ms >=
               (int64_t)detector->config->leave_grace * 1000;
}

static void on_poll_due(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct failure_detector *detector = arg;
    int64_t late_ms = clock_monotonic_ms() - detector->polled_ms - poll_ms(detector->config);
    bool healthy = broker_is_healthy(detector->broker);
    size_t given_up = redis_count_given_up(detector->redis);
    bool returned = given_up < detector->given_up; /* a node, where leases may have run out */
    if (!healthy || !detector->was_healthy || late_ms > REAPER_STALE_MS || returned)
        failure_detector_reset(detector);
    detector->was_healthy = healthy;
    detector->given_up = given_up;
    detector->polled_ms = clock_monotonic_ms();
    struct key gateways = key_part(detector->config->redis_prefix, "gateways");
    redis_send_strings(detector->redis, on_gateways, detector, "SMEMBERS", gateways.text, NULL);
    if (is_own_due(detector) && may_reap(detector))
        reaper_claim(detector, detector->config->gateway_id, false);
}

struct failure_detector *failure_detector_new(struct event_base *base, struct broker *broker,
                                              struct metrics *metrics, struct log *log)
{
    struct failure_detector *detector = memory_new(sizeof *detector);
    detector->broker = broker;
    detector->redis = broker_commands(broker)->redis;
    detector->metrics = metrics;
    detector->log = log;
    detector->config = broker_commands(broker)->config;
    detector->was_healthy = true;
    text_number(detector->config->lease * 1000, detector->lease_ms);
    list_init(&detector->suspects);
    list_init(&detector->own_rooms);
    detector->timer = event_new(base, -1, EV_PERSIST, on_poll_due, detector);
    detector->polled_ms = detector->own_since_ms = clock_monotonic_ms();
    int64_t every_ms = poll_ms(detector->config);
    struct timeval every = {(time_t)(every_ms / 1000), (suseconds_t)(every_ms % 1000 * 1000)};
    event_add(detector->timer, &every);
    return detector;
}

void failure_detector_free(struct failure_detector *detector)
{
    if (detector == NULL)
        return;
    failure_detector_reset(detector);
    reaper_drop_own(detector);
    event_free(detector->timer);
    free(detector);
}
