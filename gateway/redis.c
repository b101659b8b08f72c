#include "redis.h"

#include "clock.h"
#include "digest.h"
#include "memory.h"
#include "pending.h"
#include "resolver.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
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
    MOST_READS = 16, /* in a turn of the loop: others want theirs */
};

enum state { WAITING, CONNECTING, GREETING, READY };

struct redis {
    struct redis_options options;
    struct redis_callbacks callbacks;
    void *arg;
    char *client_name;
    enum state state;
    struct bufferevent *stream;
    struct evbuffer *unsent; /* what was written in this turn of the loop */
    struct event *turn_end;
    struct redis_replies *replies;
    SSL_CTX *tls;
    struct resolution *resolution; /* while the host's name is being looked up */
    struct event *timer;           /* retry, connect timeout, or the oldest command's deadline */
    struct pending pending;
    unsigned attempts;
    int64_t heard_ms; /* when something last came */
};

static void start(struct redis *redis);
static void lose(struct redis *redis, const char *why);

/* --- Commands that wait for a reply --- */

static void arm_timer(struct redis *redis, int64_t after_ms)
{
    if (after_ms < 0)
        after_ms = 0;
    struct timeval tv = {.tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000};
    evtimer_add(redis->timer, &tv);
}

static void await_deadline(struct redis *redis)
{
    int64_t deadline_ms = pending_deadline_ms(&redis->pending);
    if (deadline_ms != 0 && redis->state == READY)
        arm_timer(redis, deadline_ms - clock_monotonic_ms());
}

static void push_pending(struct redis *redis, redis_done done, void *arg)
{
    bool first = pending_deadline_ms(&redis->pending) == 0;
    pending_push(&redis->pending, done, arg, clock_monotonic_ms() + REDIS_DEADLINE_MS);
    if (first)
        await_deadline(redis);
}

static void expire_pending(struct redis *redis)
{
    redis->options.metrics->redis_timeouts += pending_expire(&redis->pending, clock_monotonic_ms());
    await_deadline(redis);
}

/* --- Connecting --- */

static void drop_stream(struct redis *redis)
{
    resolver_cancel(redis->resolution);
    redis->resolution = NULL;
    if (redis->stream != NULL)
        bufferevent_free(redis->stream);
    redis->stream = NULL;
    evbuffer_drain(redis->unsent, evbuffer_get_length(redis->unsent));
}

static int64_t retry_delay_ms(struct redis *redis)
{
    unsigned shift = redis->attempts < 5 ? redis->attempts : 5;
    int64_t most = (int64_t)RETRY_FIRST_MS << shift;
    if (most > RETRY_LONGEST_MS)
        most = RETRY_LONGEST_MS;
    uint32_t random;
    digest_random(&random, sizeof random);
    redis->attempts++;
    return most / 2 + random % (most / 2 + 1);
}

/* What Redis has not received by now it shall never get: everybody who waits is told that the
 * outcome is not known, and commands that come seconds later, when the path heals, would surprise
 * all. */
static void discard_unsent(struct redis *redis)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (redis->stream != NULL)
        setsockopt(bufferevent_getfd(redis->stream), SOL_SOCKET, SO_LINGER, &at_once,
                   sizeof at_once);
}

static void lose(struct redis *redis, const char *why)
{
    discard_unsent(redis);
    drop_stream(redis);
    redis->state = WAITING;
    redis->options.metrics->redis_lost++;
    arm_timer(redis, retry_delay_ms(redis));
    pending_fail(&redis->pending);
    redis->callbacks.on_lost(redis->arg, why);
}

static void on_greeting(void *arg, const struct redis_reply *reply)
{
    struct redis *redis = arg;
    if (reply == NULL || redis->state != GREETING)
        return;
    /* The connection is dropped after the reader is done with this reply: see on_read. */
    if (redis_reply_is_error(reply))
        redis->state = WAITING;
}

static void on_greeted(void *arg, const struct redis_reply *reply)
{
    struct redis *redis = arg;
    if (reply == NULL || redis->state != GREETING)
        return;
    redis->state = READY;
    redis->attempts = 0;
    evtimer_del(redis->timer);
    await_deadline(redis);
    redis->callbacks.on_ready(redis->arg);
}

/* Commands wait for redis_flush, at the latest at the end of the loop's turn, and leave with one
 * system call. */
static void write_command(struct redis *redis, const char *command, size_t len)
{
    evbuffer_add(redis->unsent, command, len);
    event_active(redis->turn_end, EV_WRITE, 0);
}

static void write_words(struct redis *redis, const struct redis_words *words)
{
    struct evbuffer_iovec part;
    if (evbuffer_reserve_space(redis->unsent, (ev_ssize_t)redis_format_bytes(words), &part, 1) != 1)
        abort(); /* out of memory */
    part.iov_len = redis_format(words, part.iov_base);
    evbuffer_commit_space(redis->unsent, &part, 1);
    event_active(redis->turn_end, EV_WRITE, 0);
}

/* Straight to the socket: a bufferevent would wait for a turn to hear that it is writable. */
void redis_flush(struct redis *redis)
{
    if (redis->stream == NULL || evbuffer_get_length(redis->unsent) == 0)
        return;
    if (redis->tls == NULL && evbuffer_get_length(bufferevent_get_output(redis->stream)) == 0)
        evbuffer_write(redis->unsent, bufferevent_getfd(redis->stream));
    bufferevent_write_buffer(redis->stream,
                             redis->unsent); /* the rest, or all: errors show there */
}

static void on_turn_end(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    redis_flush(arg);
}

static void add_words(struct redis_words *words, const char *first, va_list rest)
{
    words->count = 0;
    for (const char *word = first; word != NULL; word = va_arg(rest, const char *))
        redis_words_add_string(words, word);
}

static __attribute__((sentinel)) void greet_with(struct redis *redis, redis_done done,
                                                 const char *first, ...)
{
    struct redis_words words;
    va_list rest;
    va_start(rest, first);
    add_words(&words, first, rest);
    va_end(rest);
    write_words(redis, &words);
    push_pending(redis, done, redis);
}

/* AUTH, SELECT, CLIENT SETNAME, PING: the answer to the last one makes the connection ready. */
static void greet(struct redis *redis)
{
    const struct redis_url *url = redis->options.url;
    redis->state = GREETING;
    if (url->password[0] != '\0' && url->user[0] != '\0')
        greet_with(redis, on_greeting, "AUTH", url->user, url->password, NULL);
    else if (url->password[0] != '\0')
        greet_with(redis, on_greeting, "AUTH", url->password, NULL);
    if (url->database != 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", url->database);
        greet_with(redis, on_greeting, "SELECT", number, NULL);
    }
    greet_with(redis, NULL, "CLIENT", "SETNAME", redis->client_name, NULL);
    greet_with(redis, on_greeting, "PING", NULL);
    greet_with(redis, on_greeted, "PING", "ready", NULL);
}

static void on_reply(struct redis *redis, const struct redis_reply *reply)
{
    if (redis->options.subscriber && redis->state == READY) {
        redis->callbacks.on_push(redis->arg, reply);
        return;
    }
    pending_answer(&redis->pending, reply);
}

/* Moves what the bufferevent has read into the reader; returns how much it was. */
static size_t feed_reader(struct redis *redis)
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
static size_t feed_more(struct redis *redis)
{
    char bytes[READ_BYTES];
    ssize_t got = recv(bufferevent_getfd(redis->stream), bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0)
        return 0;
    redis_replies_feed(redis->replies, bytes, (size_t)got);
    return (size_t)got;
}

/* Hands out the replies that are complete; is the connection still there after them? */
static bool take_replies(struct redis *redis)
{
    const struct bufferevent *stream = redis->stream;
    while (redis->stream == stream) {
        const struct redis_reply *reply;
        if (redis_replies_next(redis->replies, &reply) != 0) {
            lose(redis, "Redis sent what is not RESP");
            return false;
        }
        if (reply == NULL)
            return true;
        on_reply(redis, reply);
        char why[160] = "Redis refused AUTH, SELECT or PING";
        if (redis->state == WAITING && redis_reply_is_error(reply))
            snprintf(why, sizeof why, "Redis refused: %.120s", redis_reply_string(reply, NULL));
        if (redis->stream == stream && redis->state == WAITING)
            lose(redis, why);
    }
    return false;
}

/* A bufferevent reads 4 KiB in a turn. Where a hundred messages come at once, a flush would begin
 * with the first fifteen of them, so the rest is fetched here. */
static void read_all(struct redis *redis)
{
    size_t len = feed_reader(redis);
    for (int reads = 0; take_replies(redis) && redis->tls == NULL && reads < MOST_READS; reads++) {
        if (len < LIBEVENT_READ_BYTES)
            return;
        len = feed_more(redis);
    }
}

static void on_read(struct bufferevent *stream, void *arg)
{
    (void)stream;
    struct redis *redis = arg;
    redis->heard_ms = clock_monotonic_ms();
    read_all(redis);
    if (redis->options.subscriber)
        redis->callbacks.on_push_end(redis->arg);
}

static void on_event(struct bufferevent *stream, short events, void *arg)
{
    struct redis *redis = arg;
    if ((events & BEV_EVENT_CONNECTED) != 0) {
        greet(redis);
        return;
    }
    char why[160] = "Redis closed the connection";
    unsigned long tls_error = redis->tls == NULL ? 0 : bufferevent_get_openssl_error(stream);
    if (tls_error != 0)
        snprintf(why, sizeof why, "TLS: %s", ERR_reason_error_string(tls_error));
    else if ((events & BEV_EVENT_ERROR) != 0)
        snprintf(why, sizeof why, "%s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
    lose(redis, why);
}

static struct bufferevent *new_stream(struct redis *redis)
{
    struct event_base *base = redis->options.base;
    if (redis->tls == NULL)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = SSL_new(redis->tls);
    SSL_set1_host(ssl, redis->options.url->host);
    SSL_set_tlsext_host_name(ssl, redis->options.url->host);
    return bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                          BEV_OPT_CLOSE_ON_FREE);
}

static void connect_stream(struct redis *redis, const struct sockaddr *address, socklen_t len)
{
    if (bufferevent_socket_connect(redis->stream, address, (int)len) != 0 &&
        redis->state == CONNECTING)
        lose(redis, evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void on_resolved(void *arg, const struct resolver_answer *answer)
{
    struct redis *redis = arg;
    redis->resolution = NULL;
    if (answer->error == 0) {
        connect_stream(redis, (const struct sockaddr *)&answer->address, answer->len);
        return;
    }
    char why[200];
    snprintf(why, sizeof why, "cannot resolve %.80s: %s", redis->options.url->host,
             gai_strerror(answer->error));
    lose(redis, why);
}

static void find_and_connect(struct redis *redis)
{
    const struct redis_url *url = redis->options.url;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (url->scheme == REDIS_UNIX) {
        memcpy(address.sun_path, url->path, strnlen(url->path, sizeof address.sun_path - 1));
        connect_stream(redis, (struct sockaddr *)&address, sizeof address);
        return;
    }
    const struct resolver_question question = {url->host, url->port, redis->attempts};
    redis->resolution = resolver_start(redis->options.base, &question, on_resolved, redis);
    if (redis->resolution == NULL)
        lose(redis, "no thread to resolve its name in");
}

static void start(struct redis *redis)
{
    drop_stream(redis);
    redis->state = CONNECTING;
    redis_replies_begin(redis->replies);
    redis->stream = new_stream(redis);
    bufferevent_setcb(redis->stream, on_read, NULL, on_event, redis);
    bufferevent_enable(redis->stream, EV_READ | EV_WRITE);
    arm_timer(redis, CONNECT_TIMEOUT_MS);
    find_and_connect(redis);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct redis *redis = arg;
    if (redis->state == READY)
        expire_pending(redis);
    else if (redis->state == WAITING)
        start(redis);
    else
        lose(redis, "Redis does not answer");
}

static SSL_CTX *new_tls(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_verify_paths(tls); /* honours SSL_CERT_FILE */
    return tls;
}

struct redis *redis_new(const struct redis_options *options,
                        const struct redis_callbacks *callbacks, void *arg)
{
    struct redis *redis = memory_new(sizeof *redis);
    redis->options = *options;
    redis->callbacks = *callbacks;
    redis->arg = arg;
    redis->client_name = memory_copy_string(options->client_name);
    redis->tls = options->url->tls ? new_tls() : NULL;
    redis->timer = evtimer_new(options->base, on_timer, redis);
    redis->turn_end = event_new(options->base, -1, 0, on_turn_end, redis);
    redis->unsent = evbuffer_new();
    redis->replies = redis_replies_new();
    redis->state = WAITING;
    arm_timer(redis, 0);
    return redis;
}

void redis_stop(struct redis *redis)
{
    redis->state = WAITING; /* callbacks cannot send any more */
    pending_fail(&redis->pending);
    drop_stream(redis);
    evtimer_del(redis->timer);
}

void redis_free(struct redis *redis)
{
    if (redis == NULL)
        return;
    redis_stop(redis);
    event_free(redis->timer);
    event_free(redis->turn_end);
    evbuffer_free(redis->unsent);
    redis_replies_free(redis->replies);
    pending_done(&redis->pending);
    SSL_CTX_free(redis->tls);
    free(redis->client_name);
    free(redis);
}

bool redis_is_ready(const struct redis *redis)
{
    return redis->state == READY;
}

int64_t redis_heard_ms(const struct redis *redis)
{
    return redis->heard_ms;
}

void redis_reconnect(struct redis *redis, const char *why)
{
    if (redis->state == READY)
        lose(redis, why);
}

/* --- Sending --- */

static void await(struct redis *redis, redis_done done, void *arg)
{
    redis->options.metrics->redis_commands++;
    if (!redis->options.subscriber)
        push_pending(redis, done, arg);
}

int redis_send_formatted(struct redis *redis, const struct redis_command *command)
{
    if (redis->state != READY)
        return -1;
    write_command(redis, command->bytes, command->len);
    await(redis, command->done, command->arg);
    return 0;
}

int redis_send(struct redis *redis, const struct redis_words *words, redis_done done, void *arg)
{
    if (redis->state != READY)
        return -1;
    write_words(redis, words);
    await(redis, done, arg);
    return 0;
}

int redis_send_strings(struct redis *redis, redis_done done, void *arg, const char *first, ...)
{
    struct redis_words words;
    va_list rest;
    va_start(rest, first);
    add_words(&words, first, rest);
    va_end(rest);
    return redis_send(redis, &words, done, arg);
}
