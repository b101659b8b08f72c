/* hostile: one attack on a gateway, with many sockets in one thread; see hostile.sh.
 *
 *   hostile --attack NAME --port P [--sockets N] [--addresses N] [--rate R] [--seconds S]
 *
 * The port wants a PROXY header (?proxy=on), which says what address a socket has: socket i has
 * address i % N of the network that the attack has to itself. Its room is hostile0 to hostile9.
 * Attacks:
 *
 *   heads       unfinished requests: 16,000 bytes at once, then a byte a second
 *   deaf        members who join, and never read
 *   deaf-loud   who does not join, never reads, and says 600 lines: the refusals wait for it
 *   says        lines, after the join or without it, as fast as the rate; a new socket for each end
 *   handshakes  WebSocket handshakes, each on a connection of its own, which is reset
 *   pipelined   the same, many in a row on a connection, for as long as it stays
 *
 * Ends after S seconds, or at SIGINT, and writes one JSON object on one line. `done` counts what
 * the rate is about: heads, members, lines, handshakes. */
#include "attack_bytes.h"
#include "machine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    READ_BYTES = 65536,
    PER_SOURCE = 4000, /* sockets of each loopback address: it has 28,000 ports */
    LOUD_LINES = 600,
};

struct slot {
    int fd; /* -1: not open */
    bool upgraded;
    uint32_t out_at; /* of the attack's bytes: so many are written */
    uint32_t count;  /* of answers, or of lines */
};

struct attack {
    const char *name;
    const char *network; /* of its addresses; %d.%d are the last two bytes */
    void (*on_answer)(struct slot *slot, const char *data, size_t len);
    uint64_t (*on_written)(struct slot *slot); /* all bytes are: returns how much that was */
    bool deaf;
};

static struct options {
    const char *attack;
    int port, sockets, addresses, rate, seconds;
} options = {.sockets = 64, .addresses = 1, .seconds = 15};

static const struct attack *attack;
static struct slot *slots;
static int epoll_fd, open_count, rotation;
static struct attack_bytes bytes;
static char buffer[READ_BYTES];
static uint64_t done, opened, refused, ended, wrote_bytes;
static int64_t begun_us;
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* --- Sockets --- */

static void close_slot(struct slot *slot)
{
    static const struct linger reset = {1, 0}; /* leaves no port in TIME_WAIT */
    setsockopt(slot->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(slot->fd);
    *slot = (struct slot){.fd = -1};
    open_count--;
}

static void watch(struct slot *slot, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(slot - slots)};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, slot->fd, &event);
}

static void open_slot(struct slot *slot)
{
    int index = (int)(slot - slots), on = 1, small = 4096;
    uint32_t host = 0x7f090002u + (uint32_t)(index / PER_SOURCE + 16 * (rotation++ % 8));
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)options.port),
                             .sin_addr.s_addr = htonl(0x7f000001u)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        machine_fail("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (attack->deaf)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0)
        machine_fail("bind");
    *slot = (struct slot){.fd = fd};
    open_count++;
    opened++;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)index};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
        close_slot(slot);
}

/* The PROXY header goes out with the bytes after it, once the socket is connected. */
static ssize_t write_first(struct slot *slot)
{
    static char out[ATTACK_BYTES + 128];
    int index = (int)(slot - slots) % options.addresses;
    char address[64];
    snprintf(address, sizeof address, attack->network, index >> 8, index & 255);
    attack_bytes_set_number(&bytes, (int)(slot - slots));
    int head = snprintf(out, 128, "PROXY TCP4 %s 192.0.2.1 1000 80\r\n", address);
    memcpy(out + head, bytes.first, bytes.first_len);
    ssize_t put = send(slot->fd, out, (size_t)head + bytes.first_len, MSG_NOSIGNAL);
    return put < 0 ? put : put - head;
}

/* Writes on; false: the socket takes nothing more, or has ended. */
static bool write_on(struct slot *slot)
{
    size_t at = slot->out_at;
    ssize_t put;
    if (at == 0)
        put = write_first(slot);
    else if (at < bytes.first_len)
        put = send(slot->fd, bytes.first + at, bytes.first_len - at, MSG_NOSIGNAL);
    else
        put = send(slot->fd, bytes.rest + (at - bytes.first_len),
                   bytes.rest_len - (at - bytes.first_len), MSG_NOSIGNAL);
    if (put <= 0)
        return false;
    wrote_bytes += (uint64_t)put;
    slot->out_at += (uint32_t)put;
    return true;
}

static bool may_do(void)
{
    if (options.rate == 0)
        return true;
    return done < (uint64_t)((double)(machine_now_us() - begun_us) * options.rate / 1e6);
}

static void on_writable(struct slot *slot)
{
    if (slot->out_at >= bytes.first_len && !may_do())
        return;
    if (!write_on(slot) && slot->out_at == 0)
        return;
    if (slot->out_at == bytes.first_len || slot->out_at == bytes.first_len + bytes.rest_len) {
        done += attack->on_written(slot);
        if (slot->fd >= 0 && slot->out_at == bytes.first_len + bytes.rest_len && bytes.rest_len > 0)
            slot->out_at = (uint32_t)bytes.first_len;
    }
}

static void on_readable(struct slot *slot)
{
    ssize_t got = recv(slot->fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        ended++;
        close_slot(slot);
        return;
    }
    attack->on_answer(slot, buffer, (size_t)got);
}

/* --- What each does with what comes --- */

static bool is_upgrade(const char *data, size_t len)
{
    return len > 12 && memcmp(data, "HTTP/1.1 101", 12) == 0;
}

static void take_nothing(struct slot *slot, const char *data, size_t len)
{
    (void)slot;
    (void)data;
    (void)len;
}

/* Joins, or is loud, and from then on does not read. */
static void take_deaf(struct slot *slot, const char *data, size_t len)
{
    char join[ATTACK_FRAME_BYTES];
    if (!is_upgrade(data, len)) {
        refused++;
        close_slot(slot);
        return;
    }
    char text[64];
    snprintf(text, sizeof text, "{\"type\":\"join\",\"name\":\"d%d\"}", (int)(slot - slots));
    size_t join_len = attack_bytes_frame(join, text);
    if (bytes.rest_len == 0)
        send(slot->fd, join, join_len, MSG_NOSIGNAL);
    slot->upgraded = true;
    done += bytes.rest_len == 0;
    watch(slot, bytes.rest_len > 0 ? EPOLLOUT : 0);
}

static void take_handshake(struct slot *slot, const char *data, size_t len)
{
    refused += !is_upgrade(data, len);
    close_slot(slot);
}

static void take_says(struct slot *slot, const char *data, size_t len)
{
    if (slot->upgraded)
        return;
    slot->upgraded = is_upgrade(data, len);
    if (!slot->upgraded) {
        refused++;
        close_slot(slot);
    }
}

/* All answers are refusals, or the first upgrade ends it. */
static void take_pipelined(struct slot *slot, const char *data, size_t len)
{
    const char *at = data, *end = data + len;
    while ((at = memmem(at, (size_t)(end - at), "HTTP/1.1 ", 9)) != NULL) {
        if (is_upgrade(at, (size_t)(end - at))) {
            done++;
            close_slot(slot);
            return;
        }
        at += 9;
        refused++;
        done++;
        slot->count++;
    }
    if (slot->count >= ATTACK_HANDSHAKES) {
        slot->count -= ATTACK_HANDSHAKES;
        watch(slot, EPOLLIN | EPOLLOUT);
    }
}

static uint64_t wrote_head(struct slot *slot)
{
    bool whole = slot->out_at == bytes.first_len;
    watch(slot, EPOLLIN);
    return whole ? 1 : 0;
}

static uint64_t wrote_deaf(struct slot *slot)
{
    if (!slot->upgraded) {
        watch(slot, EPOLLIN);
        return 0;
    }
    slot->count += ATTACK_LOUD_LINES;
    if (slot->count >= LOUD_LINES)
        watch(slot, 0);
    return ATTACK_LOUD_LINES;
}

static uint64_t wrote_handshake(struct slot *slot)
{
    watch(slot, EPOLLIN);
    return 1;
}

static uint64_t wrote_says(struct slot *slot)
{
    (void)slot;
    return ATTACK_SAY_LINES;
}

static uint64_t wrote_pipelined(struct slot *slot)
{
    watch(slot, EPOLLIN);
    return 0;
}

static const struct attack attacks[] = {
    {"heads", "10.1.%d.%d", take_nothing, wrote_head, false},
    {"deaf", "10.2.%d.%d", take_deaf, wrote_deaf, true},
    {"deaf-loud", "10.3.%d.%d", take_deaf, wrote_deaf, true},
    {"says", "10.4.%d.%d", take_says, wrote_says, false},
    {"handshakes", "10.5.%d.%d", take_handshake, wrote_handshake, false},
    {"pipelined", "10.6.%d.%d", take_pipelined, wrote_pipelined, false},
};

/* --- All of it --- */

static void handle_event(const struct epoll_event *event)
{
    struct slot *slot = &slots[event->data.u32];
    if (slot->fd >= 0 && (event->events & (EPOLLERR | EPOLLHUP)) != 0 &&
        (event->events & EPOLLIN) == 0) {
        ended++;
        close_slot(slot);
    }
    if (slot->fd >= 0 && (event->events & EPOLLIN) != 0)
        on_readable(slot);
    if (slot->fd >= 0 && (event->events & EPOLLOUT) != 0)
        on_writable(slot);
}

static void handle_events(void)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll_fd, events, EVENTS, 1);
    for (int i = 0; i < count; i++)
        handle_event(&events[i]);
}

/* So many at a time: the others' connects shall not wait behind them all. */
static void open_some(void)
{
    static int at;
    for (int i = 0; i < options.sockets && i < 256 && open_count < options.sockets; at++) {
        struct slot *slot = &slots[at % options.sockets];
        if (slot->fd >= 0)
            continue;
        if (opened >= (uint64_t)options.sockets && !may_do())
            return;
        open_slot(slot);
        i++;
    }
}

/* Each unfinished head gets a byte a second. */
static void drip(void)
{
    static int64_t last_us;
    if (strcmp(attack->name, "heads") != 0 || machine_now_us() - last_us < 1000000)
        return;
    last_us = machine_now_us();
    for (int i = 0; i < options.sockets; i++)
        if (slots[i].fd >= 0 && slots[i].out_at == bytes.first_len)
            send(slots[i].fd, bytes.rest, 1, MSG_NOSIGNAL);
}

static void run(void)
{
    begun_us = machine_now_us();
    int64_t end_us = begun_us + (int64_t)options.seconds * 1000000;
    while (stopped == 0 && machine_now_us() < end_us) {
        open_some();
        handle_events();
        drip();
    }
}

static double read_cpu_s(void)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_result(void)
{
    double seconds = (double)(machine_now_us() - begun_us) / 1e6;
    printf("{\"attack\":\"%s\",\"seconds\":%.1f,\"done\":%" PRIu64 ",\"per_s\":%.0f"
           ",\"opened\":%" PRIu64 ",\"open\":%d,\"refused\":%" PRIu64 ",\"ended\":%" PRIu64
           ",\"bytes_per_s\":%.0f,\"cpu_percent\":%.0f}\n",
           attack->name, seconds, done, (double)done / seconds, opened, open_count, refused, ended,
           (double)wrote_bytes / seconds, read_cpu_s() / seconds * 100);
}

static void read_option(const char *name, const char *value)
{
    const struct {
        const char *name;
        int *number;
    } names[] = {
        {"--port", &options.port},           {"--sockets", &options.sockets},
        {"--addresses", &options.addresses}, {"--rate", &options.rate},
        {"--seconds", &options.seconds},
    };
    if (strcmp(name, "--attack") == 0)
        options.attack = value;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0)
            *names[i].number = atoi(value);
}

int main(int argc, char **argv)
{
    struct rlimit files = {0};
    for (int i = 1; i + 1 < argc; i += 2)
        read_option(argv[i], argv[i + 1]);
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
        if (options.attack != NULL && strcmp(options.attack, attacks[i].name) == 0)
            attack = &attacks[i];
    if (attack == NULL || !attack_bytes_make(&bytes, attack->name) || options.port <= 0 ||
        options.sockets <= 0 || options.addresses <= 0) {
        fprintf(stderr, "hostile: --attack NAME --port P [--sockets N] [--addresses N]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    slots = calloc((size_t)options.sockets, sizeof *slots);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (slots == NULL || epoll_fd < 0)
        machine_fail("memory");
    for (int i = 0; i < options.sockets; i++)
        slots[i].fd = -1;
    signal(SIGINT, on_signal);
    run();
    print_result();
    return 0;
}
