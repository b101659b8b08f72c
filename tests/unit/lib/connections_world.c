#include "unit.h"

#include "connections_world.h"

#include "skipping_clock.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

struct stage stage;

static void note(char what, const uint8_t *data, size_t len)
{
    size_t at = strlen(stage.seen);
    snprintf(stage.seen + at, sizeof stage.seen - at, "%c(%.*s)", what, (int)len,
             (const char *)data);
}

static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    assert_ptr_equal(owner, &stage);
    note(text ? 'T' : 'B', data, len);
    if (stage.closes_when_told)
        connection_close(stage.connection, 4400, "told");
}

static bool on_control(void *owner, bool ping, const uint8_t *data, size_t len)
{
    assert_ptr_equal(owner, &stage);
    note(ping ? 'P' : 'Q', data, len);
    return stage.answers_pings;
}

static void on_closed(void *owner, const struct connection_end *end)
{
    char text[32];
    assert_ptr_equal(owner, &stage);
    int len = snprintf(text, sizeof text, "%d %u", end->cause, end->code);
    note('E', (const uint8_t *)text, (size_t)len);
    stage.connection = NULL;
}

const struct connection_callbacks callbacks = {on_message, on_control, on_closed, NULL};

int make_pair(int sides[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sides);
}

int set_up(void **state)
{
    (void)state;
    clock_stop();
    stage = (struct stage){.base = event_base_new(), .answers_pings = true};
    stage.poller = poller_new(stage.base, &stage.metrics);
    const struct connections_options options = {
        .base = stage.base,
        .poller = stage.poller,
        .metrics = &stage.metrics,
        .ping_s = PING_S,
        .max_message = MAX_MESSAGE,
        .max_fragments = MAX_FRAGMENTS,
        .max_unsent = MAX_UNSENT,
    };
    int sides[2];
    stage.connections = connections_new(&options);
    if (make_pair(sides) != 0)
        return -1;
    stage.peer = sides[1];
    stage.connection = connection_new(stage.connections, sides[0], &callbacks, &stage);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    connections_free(stage.connections);
    poller_free(stage.poller);
    event_base_free(stage.base);
    close(stage.peer);
    clock_restart();
    return 0;
}

/* --- The loop, and time --- */

void iterate(void)
{
    for (int i = 0; i < 16; i++) {
        event_base_loop(stage.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        poller_read(stage.poller);
        connections_flush(stage.connections);
    }
}

static int find_timer(const struct event_base *base, const struct event *event, void *found)
{
    (void)base;
    if (event_get_fd(event) < 0)
        *(const struct event **)found = event;
    return 0;
}

void pass(unsigned seconds)
{
    for (iterate(); seconds > 0 && stage.connection != NULL; seconds--) {
        struct event *wheel = NULL;
        event_base_foreach_event(stage.base, find_timer, &wheel);
        assert_non_null(wheel);
        clock_skip_ms(1000);
        event_active(wheel, EV_TIMEOUT, 0);
        iterate();
    }
}

/* --- The peer --- */

void peer_sends(uint8_t first_byte, const char *payload, size_t len)
{
    uint8_t frame[6 + 125] = {first_byte, (uint8_t)(0x80 | len)};
    memcpy(frame + 6, payload, len);
    assert_int_equal(write(stage.peer, frame, 6 + len), 6 + len);
    iterate();
}

void peer_says(const char *text)
{
    peer_sends(0x81, text, strlen(text));
}

size_t peer_reads(uint8_t *out, size_t size)
{
    size_t len = 0;
    for (ssize_t got = 1; got > 0 && len < size; iterate()) {
        got = read(stage.peer, out + len, size - len);
        len += got > 0 ? (size_t)got : 0;
    }
    return len;
}

void assert_peer_gets(const char *expected, size_t expected_len)
{
    uint8_t bytes[4096];
    size_t len = peer_reads(bytes, sizeof bytes);
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
}

bool peer_sees_the_end(void)
{
    uint8_t byte;
    return read(stage.peer, &byte, 1) == 0;
}
