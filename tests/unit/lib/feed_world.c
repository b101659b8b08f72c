#include "unit.h"

#include "feed_world.h"

#include "room/feed_read.h"
#include "skipping_clock.h"

#include <event2/event.h>
#include <inttypes.h>

static char *no_environment[] = {NULL};

/* --- What the feed tells --- */

static __attribute__((format(printf, 2, 3))) void tell(struct feed_world *world, const char *format,
                                                       ...)
{
    char word[256];
    va_list values;
    va_start(values, format);
    vsnprintf(word, sizeof word, format, values);
    va_end(values);
    assert_non_null(world); /* a closed feed tells nobody */
    if (world->told.len > 0)
        text_add_string(&world->told, " ");
    text_add_string(&world->told, word);
    if (++world->words == world->end_at)
        close_feed(world);
}

/* A word may close the feed, and is the last one then. */
static void on_roster(void *owner, const struct room_event *roster)
{
    struct feed_world *world = owner;
    tell(world, "[");
    for (size_t i = 0; i < roster->joined_count && world->feed != NULL; i++) {
        const struct message_person *person = &roster->joined[i];
        char expected[128];
        snprintf(expected, sizeof expected,
                 "{\"id\":\"%s\",\"name\":\"%s-name\",\"address\":\"%s-address\","
                 "\"mark\":\"%s-mark\"}",
                 person->id, person->id, person->id, person->id);
        assert_string_equal(person->json, expected);
        tell(world, "%s", person->id);
    }
    if (world->feed != NULL)
        tell(world, "]%" PRIu64, roster->count);
    if (world->feed != NULL && !feed_is_live(world->feed))
        tell(world, "start:%" PRIu64, roster->seq);
}

static char letter_of(const struct room_event *event)
{
    return event->type == EVENT_MESSAGE ? 'm' : 'p';
}

static void on_roster_event(void *owner, const struct room_event *event)
{
    tell(owner, "again:%c%" PRIu64, letter_of(event), event->seq);
}

static void on_remember(void *owner, const struct room_event *event, int64_t at_ms)
{
    (void)at_ms;
    tell(owner, "+%c%" PRIu64, letter_of(event), event->seq);
}

static void on_event(void *owner, const struct room_event *event)
{
    if (event->type == EVENT_TYPING)
        tell(owner, "typing");
    else if (event->type == EVENT_NOTICE)
        tell(owner, "notice:%s", event->text);
    else
        tell(owner, "%c%" PRIu64, letter_of(event), event->seq);
}

static void on_gap(void *owner, const struct feed_gap *gap)
{
    if (gap->epoch_reset)
        tell(owner, "reset:%" PRIu64 "/%" PRIu64, gap->seq, gap->fork);
    else
        tell(owner, "gap:%" PRIu64 "/%" PRIu64, gap->seq, gap->missed);
}

static void on_epoch(void *owner)
{
    struct feed_world *world = owner;
    tell(world, "epoch:%s", feed_epoch(world->feed));
}

static void on_live(void *owner)
{
    struct feed_world *world = owner;
    assert_true(feed_is_live(world->feed));
    tell(world, "live");
}

void open_feed(struct feed_world *world)
{
    static const struct feed_callbacks callbacks = {
        .on_roster = on_roster,
        .on_roster_event = on_roster_event,
        .on_remember = on_remember,
        .on_event = on_event,
        .on_gap = on_gap,
        .on_epoch = on_epoch,
        .on_live = on_live,
    };
    world->feed = feed_open(broker_commands(world->broker), broker_pubsub(world->broker), "tea",
                            &callbacks, world);
}

void close_feed(struct feed_world *world)
{
    if (world->feed != NULL)
        feed_close(world->feed);
    world->feed = NULL;
}

void tick(struct feed_world *world)
{
    broker_tick(world->broker);
    if (world->feed != NULL)
        feed_tick(world->feed);
}

void want_roster(struct feed_world *world)
{
    feed_read_roster(world->feed);
}

void doubt_epoch(struct feed_world *world)
{
    feed_check_epoch(world->feed);
}

bool is_settled(const struct feed_world *world)
{
    return feed_is_settled(world->feed);
}

const char *delivered(struct feed_world *world)
{
    fake_redis_settle(world->fake);
    text_done(&world->last);
    world->last = world->told;
    world->told = TEXT_EMPTY;
    return world->last.data == NULL ? "" : world->last.data;
}

/* --- Redis --- */

static char *event_json(char letter, uint64_t seq)
{
    char *json;
    const char *format =
        letter == 'm' ? "{\"type\":\"message\",\"seq\":%" PRIu64
                        ",\"at\":1,\"from\":{\"id\":\"a\",\"name\":\"Ann\"},\"text\":\"hello\"}"
                      : "{\"type\":\"presence\",\"seq\":%" PRIu64
                        ",\"joined\":[{\"id\":\"b\",\"name\":\"Bob\"}],\"left\":[],\"count\":2}";
    assert_true(asprintf(&json, format, seq) > 0);
    return json;
}

/* Reads "m9" or "m9/4"; false at the end. */
static bool next_event(const char **at, char *letter, uint64_t *seq, uint64_t *said)
{
    int len = 0;
    *said = 0;
    *at += strspn(*at, " ");
    if (**at == '\0')
        return false;
    assert_true(sscanf(*at, "%c%" SCNu64 "%n/%" SCNu64 "%n", letter, seq, &len, said, &len) >= 2);
    *at += len;
    return true;
}

void publish_in(struct feed_world *world, const char *epoch, const char *events)
{
    char letter;
    uint64_t seq, said;
    while (next_event(&events, &letter, &seq, &said)) {
        char *json = event_json(letter, seq);
        fake_redis_publish(world->fake, FEED_CHANNEL, "%s%s%s", json, epoch[0] == '\0' ? "" : " ",
                           epoch);
        free(json);
    }
}

void publish(struct feed_world *world, const char *events)
{
    publish_in(world, "", events);
}

void publish_epoch(struct feed_world *world, const char *epoch, uint64_t seq)
{
    fake_redis_publish(world->fake, FEED_CHANNEL,
                       "{\"type\":\"epoch\",\"epoch\":\"%s\",\"seq\":%" PRIu64 "}", epoch, seq);
}

void answer_roster(struct fake_redis_call *call, struct roster_answer answer)
{
    struct text text = TEXT_EMPTY;
    text_print(&text, "['%s', %" PRIu64 ", %" PRIu64 ", %" PRIu64, answer.epoch, answer.seq,
               answer.said, answer.count);
    for (const char *at = answer.members; at != NULL && *at != '\0'; at += strspn(at, " ")) {
        int len = (int)strcspn(at, " ");
        text_print(&text, ", '%.*s', '%.*s-name', '%.*s-address', '%.*s-mark'", len, at, len, at,
                   len, at, len, at);
        at += len;
    }
    text_add_string(&text, "]");
    fake_redis_answer(call, "%s", text.data);
    text_done(&text);
}

void give_roster(struct feed_world *world, struct roster_answer answer)
{
    answer_roster(fake_redis_await(world->fake, "roster"), answer);
}

void answer_kept(struct fake_redis_call *call, struct kept_answer answer)
{
    struct text text = TEXT_EMPTY;
    char letter;
    uint64_t seq, said;
    text_print(&text, "['%s', %" PRIu64 ", %" PRIu64 ", '1700000000000', '%s', '%s'", answer.epoch,
               answer.head, answer.said, answer.forks == NULL ? "" : answer.forks,
               answer.last == NULL ? "" : answer.last);
    while (answer.events != NULL && next_event(&answer.events, &letter, &seq, &said)) {
        char *json = event_json(letter, seq);
        text_print(&text, ", '%" PRIu64 "', '1699999999000', '%s', '%" PRIu64 "'", seq, json, said);
        free(json);
    }
    text_add_string(&text, "]");
    fake_redis_answer(call, "%s", text.data);
    text_done(&text);
}

uint64_t asked_after(const struct fake_redis_call *kept)
{
    return strtoull(fake_redis_argument(kept, 5), NULL, 10);
}

void give_kept(struct feed_world *world, uint64_t after, struct kept_answer answer)
{
    struct fake_redis_call *call = fake_redis_await(world->fake, "recent");
    assert_string_equal(fake_redis_key(call, 1), FEED_CHANNEL);
    assert_int_equal(asked_after(call), after);
    answer_kept(call, answer);
}

size_t kept_calls(const struct feed_world *world)
{
    return fake_redis_count(world->fake, "recent");
}

size_t roster_calls(const struct feed_world *world)
{
    return fake_redis_count(world->fake, "roster");
}

void open_live_at(struct feed_world *world, uint64_t seq, uint64_t said)
{
    open_feed(world);
    give_roster(world, (struct roster_answer){"one", seq, said, 0, ""});
    give_kept(world, 0, (struct kept_answer){"one", seq, said, NULL, NULL, ""});
    fake_redis_settle(world->fake);
    assert_non_null(strstr(delivered(world), "live"));
}

static bool is_subscribed(void *arg)
{
    struct feed_world *world = arg;
    return fake_redis_is_subscribed(world->fake, FEED_CHANNEL);
}

void lose_subscription(struct feed_world *world)
{
    fake_redis_drop(world->fake, FAKE_SUBSCRIBERS);
    fake_redis_settle(world->fake);
}

void await_subscription(struct feed_world *world)
{
    fake_redis_run_until(world->fake, is_subscribed, world);
    fake_redis_settle(world->fake);
}

/* --- Life --- */

/* As all rooms' feeds are told (room/registry.h). */
static void on_up(void *arg)
{
    const struct feed_world *world = arg;
    if (world->feed != NULL)
        feed_proceed(world->feed);
}

static void on_control_message(void *arg, const char *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static bool is_up(void *arg)
{
    return broker_is_healthy(arg);
}

static void flush(void *arg)
{
    broker_flush(arg);
}

int feed_world_set_up(void **state)
{
    static const struct broker_callbacks callbacks = {on_up, on_control_message};
    struct feed_world *world = calloc(1, sizeof *world);
    clock_stop();
    char error[256];
    char redis[64];
    char *arguments[] = {(char[]){"yukizuri"}, (char[]){"--redis"}, redis};
    world->base = event_base_new();
    world->fake = fake_redis_new(world->base);
    snprintf(redis, sizeof redis, "%s", fake_redis_url(world->fake));
    config_load(&world->config, 3, arguments, no_environment);
    const struct broker_options options = {world->base, &world->config, &world->config.redis_url,
                                           &world->metrics, NULL};
    world->broker = broker_new(&options, &callbacks, world, error, sizeof error);
    fake_redis_follow(world->fake, flush, world->broker);
    fake_redis_run_until(world->fake, is_up, world->broker);
    *state = world;
    return 0;
}

int feed_world_tear_down(void **state)
{
    struct feed_world *world = *state;
    close_feed(world);
    broker_stop(world->broker);
    broker_free(world->broker);
    fake_redis_free(world->fake);
    event_base_free(world->base);
    config_done(&world->config);
    text_done(&world->told);
    text_done(&world->last);
    free(world);
    clock_restart();
    return 0;
}
