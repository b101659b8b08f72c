#include "redis/connection_internal.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "redis/greeting.h"
#include "redis/hold.h"
#include "redis/resolver.h"
#include "redis/tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    CONNECT_TIMEOUT_MS = 2000,
    RETRY_FIRST_MS = 50,
    RETRY_LONGEST_MS = 1000,
    LIBEVENT_READ_BYTES = 4096,
    READ_BYTES = 16384,
    MOST_READS = 16, /* in an iteration of the loop: others want theirs */
};

/* --- Commands that wait for a reply --- */

static void arm_timer(struct redis_connection *redis, int64_t after_ms)
{
    if (after_ms < 0)
        after_ms = 0;
    struct timeval tv = {.tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000};
    evtimer_add(redis->timer, &tv);
}

void redis_connection_await_deadline(struct redis_connection *redis)
{
    int64_t deadline_ms = pipeline_deadline_ms(&redis->pipeline);
    if (deadline_ms != 0 && redis->state == REDIS_READY)
        arm_timer(redis, deadline_ms - clock_monotonic_ms());
}

static void expire_commands(struct redis_connection *redis)
{
    redis->options.metrics->redis_timeouts +=
        pipeline_expire(&redis->pipeline, clock_monotonic_ms());
    redis_connection_await_deadline(redis);
}

/* --- Connecting --- */

static void drop_stream(struct redis_connection *redis)
{
    resolver_cancel(redis->resolution);
    redis->resolution = NULL;
    if (redis->stream != NULL)
        bufferevent_free(redis->stream);
    redis->stream = NULL;
    evbuffer_drain(redis->unsent, evbuffer_get_length(redis->unsent));
}

static int64_t retry_delay_ms(struct redis_connection *redis)
{
    unsigned shift = redis->attempts < 5 ? redis->attempts : 5;
    int64_t most = (int64_t)RETRY_FIRST_MS << shift;
    if (most > RETRY_LONGEST_MS)
        most = RETRY_LONGEST_MS;
    uint32_t random;
    digest_random(&random, sizeof random);
    redis->attempts++;
    if (!redis->options.subscriber)
        ++*redis->options.address_index;
    return most / 2 + random % (most / 2 + 1);
}

/* What Redis has not received by now it shall never get: everybody who waits is told that the
 * outcome is not known, and commands that come seconds later, when the path heals, would surprise
 * all. */
static void discard_unsent(struct redis_connection *redis)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (redis->stream != NULL)
        setsockopt(bufferevent_getfd(redis->stream), SOL_SOCKET, SO_LINGER, &at_once,
                   sizeof at_once);
}

void redis_connection_lose(struct redis_connection *redis, const char *why)
{
    if (redis->lost)
        return;
    discard_unsent(redis);
    drop_stream(redis);
    evtimer_del(redis->timer);
    redis->options.metrics->redis_lost +=
        redis->state == REDIS_READY && redis->options.role != REDIS_ROLE_SENTINEL;
    redis->state = REDIS_WAITING;
    redis->server = (struct redis_server){0};
    redis->lost = true;
    snprintf(redis->why, sizeof redis->why, "%s", why);
    event_active(redis->deferred, EV_TIMEOUT, 0);
}

static void on_deferred(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct redis_connection *redis = arg;
    metrics_begin_iteration(redis->options.metrics);
    bool lost = redis->lost;
    redis->lost = false;
    if (lost) {
        arm_timer(redis, redis->at_once ? 0 : retry_delay_ms(redis));
        redis->at_once = false;
        pipeline_fail(&redis->pipeline);
    }
    pipeline_fail(&redis->failed);
    if (lost)
        redis->callbacks.on_lost(redis->arg, redis->why);
}

void redis_connection_become_ready(struct redis_connection *redis)
{
    bool held = redis->held;
    redis->state = REDIS_READY;
    redis->held = false; /* what on_ready sends goes first */
    evtimer_del(redis->timer);
    redis_connection_await_deadline(redis);
    if (redis->options.prepare != NULL)
        redis->options.prepare(redis);
    redis->callbacks.on_ready(redis->arg);
    redis->held = held;
    if (redis->state == REDIS_READY) /* else on_ready has left it, and the next one is awaited */
        redis_connection_release(redis);
}

/* What is published comes between the answers to SUBSCRIBE and the like. A sharded channel may be
 * left unasked, as its slot moves away. */
static bool is_push(const struct redis_connection *redis, const struct redis_reply *reply)
{
    static const char *const kinds[] = {"message", "smessage", "sunsubscribe"};
    const char *kind = redis_reply_string(redis_reply_at(reply, 0), NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && kind != NULL; i++)
        if (redis->options.subscriber && strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

static void on_reply(struct redis_connection *redis, const struct redis_reply *reply)
{
    if (is_push(redis, reply))
        redis->callbacks.on_push(redis->arg, reply);
    else if (!pipeline_is_behind_error(&redis->pipeline) || !redis_reply_is_error(reply))
        pipeline_answer(&redis->pipeline, reply);
}

static void on_error_reply(void *arg, const char *text, size_t len)
{
    struct redis_connection *redis = arg;
    struct redis_error error;
    redis_error_read(text, len, &error);
    if (pipeline_is_optional(&redis->pipeline) || pipeline_is_behind_error(&redis->pipeline))
        redis_error_mark_optional(&error);
    redis->callbacks.on_error(redis->arg, &error);
}

/* Moves what the bufferevent has read into the reader; returns how much it was. */
static size_t feed_reader(struct redis_connection *redis)
{
    struct evbuffer *input = bufferevent_get_input(redis->stream);
    struct evbuffer_iovec part;
    size_t len = 0;
    while (evbuffer_peek(input, -1, NULL, &part, 1) > 0) {
        redis_replies_feed(redis->replies, part.iov_base, part.iov_len);
        evbuffer_drain(input, part.iov_len);
        len += part.iov_len;
    }
    return len;
}

/* More that is there already; 0 when there is nothing. An end or an error is left to the
 * bufferevent, which will see it as well. */
static size_t feed_more(struct redis_connection *redis)
{
    char bytes[READ_BYTES];
    ssize_t got = recv(bufferevent_getfd(redis->stream), bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0)
        return 0;
    redis_replies_feed(redis->replies, bytes, (size_t)got);
    return (size_t)got;
}

/* Hands out the replies that are complete; is the connection still there after them? */
static bool take_replies(struct redis_connection *redis)
{
    const struct bufferevent *stream = redis->stream;
    while (redis->stream == stream) {
        const struct redis_reply *reply;
        int error = redis_replies_next(redis->replies, &reply);
        if (error != 0) {
            redis_connection_lose(redis, loss_reason_protocol(redis, error));
            return false;
        }
        if (reply == NULL)
            return redis->stream == stream; /* half of one may hold an error */
        on_reply(redis, reply);
    }
    return false;
}

/* A bufferevent reads 4 KiB in an iteration: the rest is fetched here
 * (docs/decisions/0022-redis-socket.md). */
static void read_all(struct redis_connection *redis)
{
    size_t len = feed_reader(redis);
    for (int reads = 0; take_replies(redis) && redis->options.tls == NULL && reads < MOST_READS;
         reads++) {
        if (len < LIBEVENT_READ_BYTES)
            return;
        len = feed_more(redis);
    }
}

static void on_read(struct bufferevent *stream, void *arg)
{
    (void)stream;
    struct redis_connection *redis = arg;
    metrics_begin_iteration(redis->options.metrics);
    redis->last_rx_ms = clock_monotonic_ms();
    loss_reason_note_first(redis);
    read_all(redis);
}

static void on_stream_event(struct bufferevent *stream, short events, void *arg)
{
    (void)stream;
    struct redis_connection *redis = arg;
    if ((events & BEV_EVENT_CONNECTED) != 0) {
        greeting_send(redis);
        redis_connection_flush(redis);
        return;
    }
    char why[LOSS_REASON_BYTES];
    loss_reason_closed(redis, events, why);
    redis_connection_lose(redis, why);
}

static struct bufferevent *new_stream(struct redis_connection *redis)
{
    struct event_base *base = redis->options.base;
    if (redis->options.tls == NULL)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    return redis_tls_stream(redis->options.tls, redis->options.url->host, base);
}

static void connect_stream(struct redis_connection *redis, const struct sockaddr *address,
                           socklen_t len)
{
    char why[LOSS_REASON_BYTES];
    if (bufferevent_socket_connect(redis->stream, address, (int)len) == 0 ||
        redis->state != REDIS_CONNECTING)
        return;
    loss_reason_errno(redis, EVUTIL_SOCKET_ERROR(), why);
    redis_connection_lose(redis, why);
}

static void on_resolved(void *arg, const struct resolver_answer *answer)
{
    struct redis_connection *redis = arg;
    redis->resolution = NULL;
    if (answer->error == 0) {
        connect_stream(redis, (const struct sockaddr *)&answer->address, answer->len);
        return;
    }
    char why[LOSS_REASON_BYTES];
    loss_reason_unresolved(redis, answer, why);
    redis_connection_lose(redis, why);
}

static void find_and_connect(struct redis_connection *redis)
{
    const struct redis_url *url = redis->options.url;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (url->scheme == REDIS_UNIX) {
        memcpy(address.sun_path, url->path, strnlen(url->path, sizeof address.sun_path - 1));
        connect_stream(redis, (struct sockaddr *)&address, sizeof address);
        return;
    }
    redis->resolution =
        resolver_start(redis->options.base, url, *redis->options.address_index, on_resolved, redis);
    if (redis->resolution != NULL)
        return;
    const struct resolver_answer none = {.error = EAI_SYSTEM, .system_error = errno};
    on_resolved(redis, &none);
}

static void start_connecting(struct redis_connection *redis)
{
    enum redis_scheme scheme = redis->options.url->scheme;
    if (scheme != REDIS_TCP && scheme != REDIS_UNIX)
        return; /* nobody has said yet where the server is: redis_connection_move */
    drop_stream(redis);
    redis->state = REDIS_CONNECTING;
    redis->first_len = 0;
    redis_replies_begin(redis->replies);
    redis->stream = new_stream(redis);
    if (redis->stream == NULL) {
        redis_connection_lose(redis, "TLS: OpenSSL cannot make a connection");
        return;
    }
    bufferevent_setcb(redis->stream, on_read, NULL, on_stream_event, redis);
    bufferevent_enable(redis->stream, EV_READ | EV_WRITE);
    arm_timer(redis, CONNECT_TIMEOUT_MS);
    find_and_connect(redis);
}

static void on_redis_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct redis_connection *redis = arg;
    if (redis->state == REDIS_READY)
        expire_commands(redis);
    else if (redis->state == REDIS_WAITING)
        start_connecting(redis);
    else
        redis_connection_lose(redis, loss_reason_timeout(redis));
}

struct redis_connection *redis_connection_new(const struct redis_options *options,
                                              const struct redis_callbacks *callbacks, void *arg)
{
    struct redis_connection *redis = memory_new(sizeof *redis);
    redis->options = *options;
    redis->callbacks = *callbacks;
    redis->arg = arg;
    redis->client_name = memory_copy_string(options->client_name);
    redis->timer = evtimer_new(options->base, on_redis_timer, redis);
    redis->deferred = event_new(options->base, -1, 0, on_deferred, redis);
    redis->unsent = evbuffer_new();
    redis->held_back = evbuffer_new();
    redis->replies = redis_replies_new(&options->limits, on_error_reply, redis);
    redis->state = REDIS_WAITING;
    arm_timer(redis, 0);
    return redis;
}

void redis_connection_stop(struct redis_connection *redis)
{
    redis->state = REDIS_WAITING; /* callbacks cannot send any more */
    redis->held = false;
    redis->lost = false;
    drop_stream(redis);
    evtimer_del(redis->timer);
    event_del(redis->deferred);
    pipeline_fail(&redis->pipeline);
    pipeline_fail(&redis->held_commands);
    pipeline_fail(&redis->failed);
}

void redis_connection_free(struct redis_connection *redis)
{
    if (redis == NULL)
        return;
    redis_connection_stop(redis);
    event_free(redis->timer);
    event_free(redis->deferred);
    evbuffer_free(redis->unsent);
    evbuffer_free(redis->held_back);
    redis_replies_free(redis->replies);
    pipeline_done(&redis->pipeline);
    pipeline_done(&redis->held_commands);
    pipeline_done(&redis->failed);
    free(redis->client_name);
    free(redis);
}

bool redis_connection_is_ready(const struct redis_connection *redis)
{
    return redis->state == REDIS_READY || redis->held;
}

const struct redis_server *redis_connection_server(const struct redis_connection *redis)
{
    return &redis->server;
}

int64_t redis_connection_last_rx_ms(const struct redis_connection *redis)
{
    return redis->last_rx_ms;
}

void redis_connection_reset_backoff(struct redis_connection *redis)
{
    redis->attempts = 0;
}

void redis_connection_move(struct redis_connection *redis, const char *why)
{
    redis->attempts = 0;
    if (redis->state != REDIS_WAITING)
        redis_connection_lose(redis, why);
    if (redis->lost)
        redis->at_once = true;
    else
        arm_timer(redis, 0);
}

void redis_connection_fail(struct redis_connection *redis, redis_done done, void *arg)
{
    pipeline_push(&redis->failed, done, arg, 0);
    event_active(redis->deferred, EV_TIMEOUT, 0);
}

void redis_connection_reconnect(struct redis_connection *redis, const char *why)
{
    if (redis->state == REDIS_READY)
        redis_connection_lose(redis, why);
}
