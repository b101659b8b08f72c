#include "unit.h"

#include "fake_redis_internal.h"

#include "base/memory.h"
#include "resp_value.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    DEADLINE_MS = 60000,
    QUIET_TURNS = 16, /* of the loop, after the last byte was read: what follows from it is done */
};

/* --- Connections --- */

static void free_peer(struct peer *peer)
{
    while (!list_is_empty(&peer->channels)) {
        struct channel *channel = LIST_ITEM(peer->channels.next, struct channel, link);
        list_remove(&channel->link);
        free(channel);
    }
    while (!list_is_empty(&peer->unanswered)) {
        struct fake_redis_call *call =
            LIST_ITEM(peer->unanswered.next, struct fake_redis_call, in_peer);
        list_remove(&call->in_peer);
        call->peer = NULL;
        fake_redis_free_call_unless_kept(call);
    }
    list_remove(&peer->in_redis);
    redisReaderFree(peer->reader);
    bufferevent_free(peer->stream);
    free(peer);
}

void fake_redis_drop(struct fake_redis *fake, enum fake_redis_connections which)
{
    for (struct link *at = fake->peers.next, *next; at != &fake->peers; at = next) {
        struct peer *peer = LIST_ITEM(at, struct peer, in_redis);
        next = at->next;
        if ((which & (peer->subscriber ? FAKE_SUBSCRIBERS : FAKE_COMMANDS)) != 0)
            free_peer(peer);
    }
}

void fake_redis_set_away(struct fake_redis *fake, bool away)
{
    fake->away = away;
    if (away)
        fake_redis_drop(fake, FAKE_ALL);
}

struct channel *fake_redis_find_channel(const struct peer *peer, const char *name)
{
    for (struct link *at = peer->channels.next; at != &peer->channels; at = at->next) {
        struct channel *channel = LIST_ITEM(at, struct channel, link);
        if (strcmp(channel->name, name) == 0)
            return channel;
    }
    return NULL;
}

bool fake_redis_is_subscribed(const struct fake_redis *fake, const char *channel)
{
    for (struct link *at = fake->peers.next; at != &fake->peers; at = at->next)
        if (fake_redis_find_channel(LIST_ITEM(at, struct peer, in_redis), channel) != NULL)
            return true;
    return false;
}

void fake_redis_publish_bytes(struct fake_redis *fake, const char *channel, const void *data,
                              size_t len)
{
    for (struct link *at = fake->peers.next; at != &fake->peers; at = at->next) {
        struct peer *peer = LIST_ITEM(at, struct peer, in_redis);
        struct evbuffer *out = bufferevent_get_output(peer->stream);
        if (fake_redis_find_channel(peer, channel) == NULL)
            continue;
        evbuffer_add_printf(out, "*3\r\n");
        resp_add_bulk(out, "message", strlen("message"));
        resp_add_bulk(out, channel, strlen(channel));
        resp_add_bulk(out, data, len);
    }
}

void fake_redis_publish(struct fake_redis *fake, const char *channel, const char *format, ...)
{
    char *text = NULL;
    va_list values;
    va_start(values, format);
    assert_true(vasprintf(&text, format, values) >= 0);
    va_end(values);
    fake_redis_publish_bytes(fake, channel, text, strlen(text));
    free(text);
}

/* --- The loop --- */

/* A test may have another clock in its hands. */
static int64_t real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_deadline(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg; /* it has woken the loop */
}

void fake_redis_follow(struct fake_redis *fake, void (*steps)(void *arg), void *arg)
{
    fake->steps = steps;
    fake->steps_arg = arg;
}

static void take_steps(const struct fake_redis *fake)
{
    if (fake->steps != NULL)
        fake->steps(fake->steps_arg);
}

/* What the test has asked for since the last one goes out before anything is waited for. */
static void iterate(const struct fake_redis *fake, int flags)
{
    take_steps(fake);
    event_base_loop(fake->base, flags);
    take_steps(fake);
}

void fake_redis_run_until(struct fake_redis *fake, bool (*holds)(void *arg), void *arg)
{
    int64_t end_ms = real_ms() + DEADLINE_MS;
    struct event *deadline = evtimer_new(fake->base, on_deadline, NULL);
    event_add(deadline, &(struct timeval){DEADLINE_MS / 1000 + 1, 0});
    while (!holds(arg) && real_ms() < end_ms)
        iterate(fake, EVLOOP_ONCE);
    event_free(deadline);
    assert_true(holds(arg)); /* within the deadline */
}

/* Has the program something to read or to write on this connection? */
static bool is_moving(const struct peer *peer)
{
    int unread = 0, unwritten = 0;
    int fd = bufferevent_getfd(peer->stream);
    ioctl(fd, SIOCINQ, &unread);
    ioctl(fd, SIOCOUTQ, &unwritten);
    return unread + unwritten > 0 || evbuffer_get_length(bufferevent_get_output(peer->stream)) > 0;
}

void fake_redis_settle(struct fake_redis *fake)
{
    int64_t end_ms = real_ms() + DEADLINE_MS;
    for (int quiet = 0; quiet < QUIET_TURNS; quiet++) {
        iterate(fake, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        for (struct link *at = fake->peers.next; at != &fake->peers; at = at->next)
            quiet = is_moving(LIST_ITEM(at, struct peer, in_redis)) ? 0 : quiet;
        assert_true(real_ms() < end_ms);
    }
}

/* --- Accepting --- */

static void on_read(struct bufferevent *stream, void *arg)
{
    struct peer *peer = arg;
    struct evbuffer *in = bufferevent_get_input(stream);
    size_t len = evbuffer_get_length(in);
    void *words = NULL;
    redisReaderFeed(peer->reader, (const char *)evbuffer_pullup(in, -1), len);
    evbuffer_drain(in, len);
    while (redisReaderGetReply(peer->reader, &words) == REDIS_OK && words != NULL)
        fake_redis_take_call(peer, words);
}

static void on_closed(struct bufferevent *stream, short events, void *arg)
{
    (void)stream;
    (void)events;
    free_peer(arg);
}

static void on_accepted(struct evconnlistener *listener, evutil_socket_t fd,
                        struct sockaddr *address, int len, void *arg)
{
    struct fake_redis *fake = arg;
    (void)listener;
    (void)address;
    (void)len;
    if (fake->away) {
        evutil_closesocket(fd);
        return;
    }
    struct peer *peer = memory_new(sizeof *peer);
    *peer = (struct peer){.fake = fake, .reader = redisReaderCreate()};
    list_init(&peer->in_redis);
    list_init(&peer->channels);
    list_init(&peer->unanswered);
    list_add(&fake->peers, &peer->in_redis);
    peer->stream = bufferevent_socket_new(fake->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(peer->stream, on_read, NULL, on_closed, peer);
    bufferevent_enable(peer->stream, EV_READ | EV_WRITE);
}

/* --- Life --- */

static struct fake_redis *new_fake(struct event_base *base)
{
    struct fake_redis *fake = memory_new(sizeof *fake);
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    fake->base = base;
    list_init(&fake->peers);
    list_init(&fake->calls);
    fake_redis_hash_scripts(fake);
    return fake;
}

struct fake_redis *fake_redis_new_on_port(struct event_base *base)
{
    struct fake_redis *fake = new_fake(base);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    fake->listener = evconnlistener_new_bind(base, on_accepted, fake, LEV_OPT_CLOSE_ON_FREE, -1,
                                             (struct sockaddr *)&address, (int)len);
    assert_non_null(fake->listener);
    getsockname(evconnlistener_get_fd(fake->listener), (struct sockaddr *)&address, &len);
    fake->port = ntohs(address.sin_port);
    snprintf(fake->url, sizeof fake->url, "redis://127.0.0.1:%d", fake->port);
    return fake;
}

int fake_redis_port(const struct fake_redis *fake)
{
    return fake->port;
}

void fake_redis_push_bytes(struct fake_redis *fake, const void *data, size_t len)
{
    for (struct link *at = fake->peers.next; at != &fake->peers; at = at->next) {
        struct peer *peer = LIST_ITEM(at, struct peer, in_redis);
        if (peer->subscriber)
            bufferevent_write(peer->stream, data, len);
    }
}

struct fake_redis *fake_redis_new(struct event_base *base)
{
    struct fake_redis *fake = new_fake(base);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(fake->directory, sizeof fake->directory, "/tmp/yukizuri-unit.XXXXXX");
    assert_non_null(mkdtemp(fake->directory));
    snprintf(fake->url, sizeof fake->url, "unix:%s/redis", fake->directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", fake->url + strlen("unix:"));
    fake->listener = evconnlistener_new_bind(base, on_accepted, fake, LEV_OPT_CLOSE_ON_FREE, -1,
                                             (struct sockaddr *)&address, (int)sizeof address);
    assert_non_null(fake->listener);
    return fake;
}

void fake_redis_free(struct fake_redis *fake)
{
    if (fake == NULL)
        return;
    fake_redis_drop(fake, FAKE_ALL);
    fake_redis_free_calls(fake);
    evconnlistener_free(fake->listener);
    if (fake->directory[0] != '\0') {
        unlink(fake->url + strlen("unix:"));
        rmdir(fake->directory);
    }
    free(fake);
}

const char *fake_redis_url(const struct fake_redis *fake)
{
    return fake->url;
}
