/* A member's connection on a pair of sockets: a peer whose bytes come in the pieces that the input
 * says, and that reads or does not, while the room and the owner send. What comes out is read back:
 * whole frames, none inside another; of each sender all, in its order; and one end. */
#include "fuzz.h"
#include "lib/server_frames.h"
#include "protocol/deflate.h"
#include "protocol/scan.h"
#include "room/batch_send.h"
#include "room/fanout.h"
#include "room/subscribers.h"
#include "websocket/connections.h"
#include "websocket/output.h"
#include "websocket/poller.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MOST = 1000,              /* bytes of a message */
    FRAGMENTS = 8,            /* of a message */
    PRIVATE_HIGH = 65536,     /* what waits for a peer before nothing more is read from it */
    BACKLOG = 30000,          /* what a member may lag behind */
    STEP_BYTES = 100,         /* what is said by the room or the owner: a multiple of this */
    LONGEST = 1 << 20,        /* of what the peer is sent at once */
    NARROW = 1,               /* the least that the kernel has */
    QUIET_ITERATIONS = 8,     /* when nothing has come for so many, nothing comes by itself */
    MOST_SAID = 100,          /* by the room, in one input */
    MOST_OWN_BYTES = 1 << 18, /* and by the owner */
    MOST_ITERATIONS = 100000, /* until an end */
};

static const char handshake[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

static struct event_base *base;
static struct poller *poller;
static struct metrics metrics;
static struct connections *connections;
static struct batch_send *sender;
static struct fanout *fanout;
static struct inflater *inflater;

/* Frames of one sender that the peer has not read yet: each its length in four bytes, then its
 * payload. Of these the first byte is the sender's letter. */
struct expected {
    struct text frames;
    size_t at;
};

/* One input's. */
static struct run {
    const uint8_t *input;
    size_t len;
    struct room_log *log;
    struct subscribers *subscribers;
    struct connection *connection; /* NULL: it has ended */
    int peer;
    bool peer_reads;
    bool deflated;
    bool has_left; /* the room */
    unsigned ends;
    uint64_t seq;
    size_t own_bytes; /* queued by the owner, beside its answers */
    struct text got;  /* by the peer */
    struct expected echoes, own, shared, pongs;
} run;

/* --- What is sent --- */

static void expect(struct expected *expected, const void *payload, size_t len)
{
    uint32_t len32 = (uint32_t)len;
    text_add(&expected->frames, (const char *)&len32, sizeof len32);
    text_add(&expected->frames, payload, len);
}

/* The letter, a number, and as many of the letter as are to be. */
static struct text compose(char letter, uint64_t number, size_t len)
{
    static char filling[256 * STEP_BYTES];
    struct text text = TEXT_EMPTY;
    memset(filling, letter, sizeof filling);
    text_print(&text, "%c%llu", letter, (unsigned long long)number);
    text_add(&text, filling, len);
    return text;
}

static void room_says(size_t len)
{
    struct text text = compose('S', ++run.seq, len);
    struct room_log_mark mark = {.seq = run.seq};
    subscribers_append(run.subscribers, frame_new_text(text.data, text.len), mark, true);
    if (!run.has_left)
        expect(&run.shared, text.data, text.len);
    text_done(&text);
}

static void owner_says(size_t len)
{
    struct text text = compose('P', run.own_bytes, len);
    if (!connection_is_closing(run.connection)) {
        expect(&run.own, text.data, text.len);
        run.own_bytes += text.len + FRAME_HEADER_BYTES;
    }
    connection_send(run.connection, FRAME_TEXT, text.data, text.len);
    text_done(&text);
}

static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    struct text answer = TEXT_EMPTY;
    must(owner == &run && run.ends == 0, "nobody hears of a connection that has ended");
    must(len <= MOST, "no message is longer than the limit");
    must(!text || scan_is_utf8((const char *)data, len), "text is UTF-8");
    must(!connection_is_closing(run.connection), "nothing is heard of who is being closed");
    text_add_string(&answer, "E");
    text_add(&answer, (const char *)data, len);
    expect(&run.echoes, answer.data, answer.len);
    connection_send(run.connection, text ? FRAME_TEXT : FRAME_BINARY, answer.data, answer.len);
    text_done(&answer);
}

static bool on_control(void *owner, bool ping, const uint8_t *data, size_t len)
{
    must(owner == &run && run.ends == 0, "nobody hears of a connection that has ended");
    must(len <= FRAME_CONTROL_BYTES, "control frames are short");
    if (ping)
        expect(&run.pongs, data, len);
    return true;
}

static void on_closed(void *owner, const struct connection_end *end)
{
    must(owner == &run, "it is its owner");
    must(end->cause != CONNECTION_OPEN && end->code >= 1000 && end->code < 5000,
         "an end has a cause and a code");
    subscribers_remove(run.subscribers, run.connection);
    run.ends++;
    run.connection = NULL;
}

/* --- What is read back --- */

static void take_expected(struct expected *expected, const struct server_frame *frame)
{
    uint32_t len;
    must(expected->frames.len > expected->at, "nothing comes that was not sent");
    memcpy(&len, expected->frames.data + expected->at, sizeof len);
    expected->at += sizeof len;
    must(len == frame->len &&
             memcmp(expected->frames.data + expected->at, frame->payload, len) == 0,
         "what comes is what was sent, in its order");
    expected->at += len;
}

static void take_frame(const struct server_frame *frame)
{
    char letter = frame->len > 0 ? (char)frame->payload[0] : '\0';
    if (frame->opcode == FRAME_PONG)
        take_expected(&run.pongs, frame);
    else if (frame->opcode == FRAME_PING)
        must(frame->len == 0, "a ping of ours says nothing");
    else if (frame->opcode != FRAME_CLOSE)
        take_expected(letter == 'S' ? &run.shared : letter == 'P' ? &run.own : &run.echoes, frame);
}

static bool has_all(const struct expected *expected)
{
    return expected->at == expected->frames.len;
}

/* `open`: nothing has ended it, and the peer has read all that there is. */
static void check_output(bool open)
{
    struct server_frames frames = {.inflater = run.deflated ? inflater : NULL};
    struct server_frame frame;
    size_t first = sizeof handshake - 1 < run.got.len ? sizeof handshake - 1 : run.got.len;
    if (first == 0)
        return;
    must(memcmp(run.got.data, handshake, first) == 0, "the handshake comes first");
    frames.data = (const uint8_t *)run.got.data + first;
    frames.len = run.got.len - first;
    while (server_frames_next(&frames, &frame))
        take_frame(&frame);
    if (!open)
        return;
    must(frames.len == 0 && !frames.closed, "all frames are whole, and none is a close frame");
    must(has_all(&run.echoes) && has_all(&run.own) && has_all(&run.pongs) &&
             (run.has_left || has_all(&run.shared)),
         "all that was sent has come");
}

/* --- The loop --- */

static void read_some(size_t most)
{
    char bytes[16384];
    ssize_t got = read(run.peer, bytes, most < sizeof bytes ? most : sizeof bytes);
    if (got > 0)
        text_add(&run.got, bytes, (size_t)got);
}

/* One answer beyond the bound, and the rest of a shared frame. */
static void check_private(void)
{
    size_t most = PRIVATE_HIGH + 2 * (MOST + 1 + FRAME_HEADER_BYTES) + run.own_bytes +
                  sizeof handshake + 256 * STEP_BYTES;
    must(connections_unsent(connections) <= most, "what waits for a peer is bounded");
}

/* In the order of gateway/loop.c. */
static void iterate(void)
{
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    fanout_flush(fanout);
    poller_read(poller);
    check_private();
    connections_flush(connections);
    if (run.peer_reads)
        read_some(LONGEST);
}

/* The peer reads until nothing comes any more. */
static void settle(void)
{
    run.peer_reads = true;
    for (int quiet = 0; quiet < QUIET_ITERATIONS; quiet++) {
        size_t before = run.got.len;
        iterate();
        if (run.got.len != before || fanout_has_more(fanout))
            quiet = 0;
    }
}

/* --- What the input says --- */

static uint8_t next_byte(void)
{
    if (run.len == 0)
        return 0;
    run.len--;
    return *run.input++;
}

static void peer_sends(const void *data, size_t len)
{
    if (send(run.peer, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        must(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET, "a socket that takes bytes");
}

/* As they are. */
static void peer_sends_bytes(void)
{
    size_t len = 1 + next_byte();
    if (len > run.len)
        len = run.len;
    peer_sends(run.input, len);
    run.input += len;
    run.len -= len;
}

/* A frame with a mask of zeroes, several times, in one write. */
static void peer_sends_frames(void)
{
    uint8_t frame[8 + MOST] = {next_byte(), 0xfe};
    size_t len = (size_t)next_byte() * 4 % MOST, times = 1 + next_byte() % 32;
    size_t header_len = len > 125 ? 8 : 6;
    struct text all = TEXT_EMPTY;
    frame[2] = (uint8_t)(len >> 8);
    frame[3] = (uint8_t)len;
    if (len <= 125)
        memcpy(frame + 1, (const uint8_t[]){(uint8_t)(0x80 | len), 0, 0}, 3);
    memset(frame + header_len, next_byte() & 0x7f, len);
    for (size_t i = 0; i < times; i++)
        text_add(&all, (const char *)frame, header_len + len);
    peer_sends(all.data, all.len);
    text_done(&all);
}

static void leave_room(void)
{
    subscribers_remove(run.subscribers, run.connection);
    run.has_left = true;
}

static void owner_acts(uint8_t how)
{
    if (how % 4 == 0)
        connection_close(run.connection, (uint16_t)(4400 + how % 100), "as the input says");
    else if (how % 4 == 1)
        connection_pause_reading(run.connection, (how & 0x80) != 0);
    else if (how == 2)
        connection_abort(run.connection);
    else
        leave_room();
}

static void peer_acts(uint8_t how)
{
    if (how % 4 == 0)
        run.peer_reads = !run.peer_reads;
    else if (how == 1)
        shutdown(run.peer, SHUT_WR);
    else
        read_some((size_t)how * how);
}

static void step(uint8_t what)
{
    size_t unit = (what & 0x80) != 0 ? STEP_BYTES : 1;
    if (what % 8 == 0)
        peer_sends_bytes();
    else if (what % 8 == 1)
        peer_sends_frames();
    else if (what % 8 == 2)
        peer_acts(next_byte());
    else if (what % 8 == 3 && run.seq < MOST_SAID)
        room_says(next_byte() * unit);
    else if (what % 8 == 4 && run.own_bytes < MOST_OWN_BYTES)
        owner_says(next_byte() * unit);
    else if (what % 8 == 5)
        owner_acts(next_byte());
    else
        iterate();
}

/* --- All of it --- */

static void make_parts(void)
{
    base = event_base_new();
    poller = poller_new(base, &metrics);
    sender = batch_send_new(false);
    fanout = fanout_new(sender, &metrics, NULL);
    inflater = inflater_new(LONGEST, &metrics.inflated_messages);
    const struct connections_options options = {.base = base,
                                                .poller = poller,
                                                .metrics = &metrics,
                                                .ping_s = 25,
                                                .max_message = MOST,
                                                .max_fragments = FRAGMENTS};
    connections = connections_new(&options);
    connections_enable_compression(connections);
}

static void on_served(void *owner, uint64_t limit)
{
    (void)owner;
    (void)limit;
}

static void begin_run(const uint8_t *data, size_t len)
{
    static const struct connection_callbacks callbacks = {on_message, on_control, on_closed, NULL};
    static const int narrow = NARROW;
    int sides[2];
    run = (struct run){.input = data, .len = len, .log = room_log_new(MOST_SAID)};
    uint8_t how = next_byte();
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sides) == 0, "there are sockets");
    if ((how & 1) != 0)
        setsockopt(sides[0], SOL_SOCKET, SO_SNDBUF, &narrow, sizeof narrow);
    run.peer = sides[1];
    run.peer_reads = (how & 2) != 0;
    run.deflated = (how & 4) != 0;
    room_log_set_deflater(run.log, connections_deflater(connections));
    const struct subscribers_options options = {fanout_queue(fanout), run.log, BACKLOG, on_served,
                                                NULL};
    run.subscribers = subscribers_new(&options);
    run.connection = connection_new(connections, sides[0], &callbacks, &run);
    if (run.deflated)
        connection_set_deflated(run.connection);
    connection_send_first(run.connection, (const uint8_t *)handshake, sizeof handshake - 1);
    subscribers_add(run.subscribers, run.connection, 0);
}

static void end_run(void)
{
    if (run.connection != NULL)
        connection_pause_reading(run.connection, false);
    close(run.peer);
    run.peer = -1;
    for (unsigned i = 0; i < MOST_ITERATIONS && run.connection != NULL; i++)
        iterate();
    must(run.ends == 1, "a connection ends once");
    must(connections_count(connections) == 0 && connections_unsent(connections) == 0,
         "nothing of it is left");
    must(subscribers_count(run.subscribers) == 0, "nor in its room");
    while (fanout_has_more(fanout))
        fanout_flush(fanout);
    subscribers_free(run.subscribers);
    room_log_free(run.log);
    text_done(&run.got);
    text_done(&run.echoes.frames);
    text_done(&run.own.frames);
    text_done(&run.shared.frames);
    text_done(&run.pongs.frames);
}

/* The first byte says what socket and what peer it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (base == NULL)
        make_parts();
    begin_run(data, len);
    while (run.len > 0 && run.connection != NULL)
        step(next_byte());
    settle();
    check_output(run.connection != NULL && !connection_is_closing(run.connection));
    end_run();
    return 0;
}
