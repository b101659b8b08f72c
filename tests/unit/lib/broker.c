#include "unit.h"

#include "broker_internal.h"

#include "base/memory.h"
#include "resp_value.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <linux/sockios.h>
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
        struct broker_call *call = LIST_ITEM(peer->unanswered.next, struct broker_call, in_peer);
        list_remove(&call->in_peer);
        call->peer = NULL;
    }
    list_remove(&peer->in_broker);
    redisReaderFree(peer->reader);
    bufferevent_free(peer->stream);
    free(peer);
}

void broker_drop(struct broker *broker, enum broker_connections which)
{
    for (struct link *at = broker->peers.next, *next; at != &broker->peers; at = next) {
        struct peer *peer = LIST_ITEM(at, struct peer, in_broker);
        next = at->next;
        if ((which & (peer->subscriber ? BROKER_SUBSCRIBERS : BROKER_COMMANDS)) != 0)
            free_peer(peer);
    }
}

void broker_set_away(struct broker *broker, bool away)
{
    broker->away = away;
    if (away)
        broker_drop(broker, BROKER_ALL);
}

struct channel *broker_find_channel(const struct peer *peer, const char *name)
{
    for (struct link *at = peer->channels.next; at != &peer->channels; at = at->next) {
        struct channel *channel = LIST_ITEM(at, struct channel, link);
        if (strcmp(channel->name, name) == 0)
            return channel;
    }
    return NULL;
}

bool broker_is_heard(const struct broker *broker, const char *channel)
{
    for (struct link *at = broker->peers.next; at != &broker->peers; at = at->next)
        if (broker_find_channel(LIST_ITEM(at, struct peer, in_broker), channel) != NULL)
            return true;
    return false;
}

void broker_publish_bytes(struct broker *broker, const char *channel, const void *data, size_t len)
{
    for (struct link *at = broker->peers.next; at != &broker->peers; at = at->next) {
        struct peer *peer = LIST_ITEM(at, struct peer, in_broker);
        struct evbuffer *out = bufferevent_get_output(peer->stream);
        if (broker_find_channel(peer, channel) == NULL)
            continue;
        evbuffer_add_printf(out, "*3\r\n");
        resp_add_bulk(out, "message", strlen("message"));
        resp_add_bulk(out, channel, strlen(channel));
        resp_add_bulk(out, data, len);
    }
}

void broker_publish(struct broker *broker, const char *channel, const char *format, ...)
{
    char *text = NULL;
    va_list values;
    va_start(values, format);
    assert_true(vasprintf(&text, format, values) >= 0);
    va_end(values);
    broker_publish_bytes(broker, channel, text, strlen(text));
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

void broker_follow(struct broker *broker, void (*steps)(void *arg), void *arg)
{
    broker->steps = steps;
    broker->steps_arg = arg;
}

static void take_steps(const struct broker *broker)
{
    if (broker->steps != NULL)
        broker->steps(broker->steps_arg);
}

/* What the test has asked for since the last one goes out before anything is waited for. */
static void iterate(const struct broker *broker, int flags)
{
    take_steps(broker);
    event_base_loop(broker->base, flags);
    take_steps(broker);
}

void broker_run_until(struct broker *broker, bool (*holds)(void *arg), void *arg)
{
    int64_t end_ms = real_ms() + DEADLINE_MS;
    struct event *deadline = evtimer_new(broker->base, on_deadline, NULL);
    event_add(deadline, &(struct timeval){DEADLINE_MS / 1000 + 1, 0});
    while (!holds(arg) && real_ms() < end_ms)
        iterate(broker, EVLOOP_ONCE);
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

void broker_settle(struct broker *broker)
{
    int64_t end_ms = real_ms() + DEADLINE_MS;
    for (int quiet = 0; quiet < QUIET_TURNS; quiet++) {
        iterate(broker, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        for (struct link *at = broker->peers.next; at != &broker->peers; at = at->next)
            quiet = is_moving(LIST_ITEM(at, struct peer, in_broker)) ? 0 : quiet;
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
        broker_take_call(peer, words);
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
    struct broker *broker = arg;
    (void)listener;
    (void)address;
    (void)len;
    if (broker->away) {
        evutil_closesocket(fd);
        return;
    }
    struct peer *peer = memory_new(sizeof *peer);
    *peer = (struct peer){.broker = broker, .reader = redisReaderCreate()};
    list_init(&peer->in_broker);
    list_init(&peer->channels);
    list_init(&peer->unanswered);
    list_add(&broker->peers, &peer->in_broker);
    peer->stream = bufferevent_socket_new(broker->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(peer->stream, on_read, NULL, on_closed, peer);
    bufferevent_enable(peer->stream, EV_READ | EV_WRITE);
}

/* --- Life --- */

struct broker *broker_new(struct event_base *base)
{
    struct broker *broker = memory_new(sizeof *broker);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    broker->base = base;
    list_init(&broker->peers);
    list_init(&broker->calls);
    broker_hash_scripts(broker);
    snprintf(broker->directory, sizeof broker->directory, "/tmp/yukizuri-unit.XXXXXX");
    assert_non_null(mkdtemp(broker->directory));
    snprintf(broker->url, sizeof broker->url, "unix:%s/redis", broker->directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", broker->url + strlen("unix:"));
    broker->listener = evconnlistener_new_bind(base, on_accepted, broker, LEV_OPT_CLOSE_ON_FREE, -1,
                                               (struct sockaddr *)&address, (int)sizeof address);
    assert_non_null(broker->listener);
    return broker;
}

void broker_free(struct broker *broker)
{
    if (broker == NULL)
        return;
    broker_drop(broker, BROKER_ALL);
    broker_free_calls(broker);
    evconnlistener_free(broker->listener);
    unlink(broker->url + strlen("unix:"));
    rmdir(broker->directory);
    free(broker);
}

const char *broker_url(const struct broker *broker)
{
    return broker->url;
}
