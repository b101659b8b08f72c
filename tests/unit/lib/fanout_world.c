#include "unit.h"

#include "fanout_world.h"

#include "websocket/output.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

struct stage stage;

char large[5000];

/* Answers with a large frame. */
static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    (void)text;
    (void)data;
    (void)len;
    connection_send(owner, FRAME_TEXT, large, sizeof large);
}

static void on_closed(void *owner, const struct connection_end *end)
{
    (void)end;
    subscribers_remove(stage.subscribers, owner);
}

void on_served(void *owner, uint64_t limit)
{
    (void)owner;
    assert_true(limit >= stage.served_to);
    stage.served_to = limit;
}

void set_up(bool uring)
{
    stage =
        (struct stage){.base = event_base_new(), .log = room_log_new(1000), .type = SOCK_STREAM};
    stage.sender = batch_send_new(uring);
    if (stage.sender == NULL) /* no io_uring here */
        stage.sender = batch_send_new(false);
    stage.poller = poller_new(stage.base, &stage.metrics);
    stage.fanout = fanout_new(stage.sender, &stage.metrics, NULL);
    const struct connections_options connections = {
        .base = stage.base,
        .poller = stage.poller,
        .metrics = &stage.metrics,
        .ping_s = 25,
        .max_message = 16384,
    };
    const struct subscribers_options subscribers = {
        .queue = fanout_queue(stage.fanout),
        .log = stage.log,
        .backlog = 1000000,
        .on_served = on_served,
    };
    stage.connections = connections_new(&connections);
    stage.subscribers = subscribers_new(&subscribers);
    connections_enable_compression(stage.connections);
    room_log_set_deflater(stage.log, connections_deflater(stage.connections));
}

void tear_down(void)
{
    while (stage.count-- > 0) {
        if (stage.members[stage.count] != NULL)
            subscribers_remove(stage.subscribers, stage.members[stage.count]);
        close(stage.peers[stage.count]);
    }
    connections_free(stage.connections);
    subscribers_free(stage.subscribers);
    fanout_free(stage.fanout);
    room_log_free(stage.log);
    poller_free(stage.poller);
    batch_send_free(stage.sender);
    event_base_free(stage.base);
}

static int come_in(uint64_t position, bool deflated)
{
    static const struct connection_callbacks callbacks = {on_message, NULL, on_closed, NULL};
    int pair[2];
    int index = stage.count++;
    assert_int_equal(socketpair(AF_UNIX, stage.type | SOCK_NONBLOCK, 0, pair), 0);
    stage.peers[index] = pair[1];
    stage.members[index] = connection_new(stage.connections, pair[0], &callbacks, NULL);
    connection_set_owner(stage.members[index], stage.members[index]);
    if (deflated)
        connection_set_deflated(stage.members[index]);
    subscribers_add(stage.subscribers, stage.members[index], position);
    return index;
}

int come(uint64_t position)
{
    return come_in(position, false);
}

int come_deflated(uint64_t position)
{
    return come_in(position, true);
}

void say(const char *text)
{
    struct room_log_mark mark = {.seq = ++stage.seq};
    subscribers_append(stage.subscribers, frame_new_text(text, strlen(text)), mark, true);
}

/* In the order of gateway/loop.c. */
void loop_once(void)
{
    event_base_loop(stage.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    fanout_flush(stage.fanout);
    poller_read(stage.poller);
    connections_flush(stage.connections);
}

void iterate(void)
{
    do
        loop_once();
    while (fanout_has_more(stage.fanout) || connections_have_more(stage.connections));
    loop_once();
}

const char *received(int index)
{
    static char text[65536];
    uint8_t bytes[65536];
    size_t len = 0;
    ssize_t got = read(stage.peers[index], bytes, sizeof bytes);
    for (ssize_t at = 0; got > 0 && at < got; at += 2 + bytes[at + 1]) {
        memcpy(text + len, bytes + at + 2, bytes[at + 1]);
        len += bytes[at + 1];
    }
    text[len] = '\0';
    return text;
}

size_t drain(int index)
{
    static uint8_t bytes[1 << 20];
    size_t all = 0;
    ssize_t got;
    while ((got = read(stage.peers[index], bytes, sizeof bytes)) > 0)
        all += (size_t)got;
    return all;
}
