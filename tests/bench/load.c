/* load: members of one room and a steady stream of messages; measures deliveries, their latency,
 * and the CPU of the server's processes.
 *
 *   load --port P --members N --rate R --seconds S --pid PID[,PID...] [--bytes B] [--room NAME]
 *        [--deaf D]
 *
 * `deaf` members more join and then never read a byte; they are not counted in the deliveries.
 *
 * One thread, one epoll loop. Open loop: messages are sent when they are due, whether or not
 * earlier ones have come back, so that a stall shows in the latency. Source addresses are spread
 * over 127.0.0.x, for more members than one address has ports. Prints one JSON object. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 16384,
    PER_ADDRESS = 20000,
    EVENTS = 512,
    SUB_BUCKETS = 32,
    BUCKETS = 40 * SUB_BUCKETS
};

struct member {
    int fd;
    bool upgraded, welcomed;
    uint64_t last_seq;
    size_t len;
    char *buffer;
};

static struct {
    int port, members, rate, seconds, bytes, deaf;
    const char *room, *pids;
} options = {.port = 8080,
             .members = 1000,
             .rate = 100,
             .seconds = 10,
             .bytes = 100,
             .room = "bench",
             .pids = ""};

static struct member *members;
static int epoll_fd;
static int welcomed;
static uint64_t delivered, disordered, lost, sent, frames_bytes, closed;
static uint64_t histogram[BUCKETS], measured;
static bool measuring;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- Latency: buckets that grow with the value, 3 % wide --- */

static void record(int64_t us)
{
    uint64_t value = us < 1 ? 1 : (uint64_t)us;
    int power = 63 - __builtin_clzll(value);
    int shift = power > 5 ? power - 5 : 0;
    size_t bucket = (size_t)shift * SUB_BUCKETS + (size_t)(value >> shift);
    histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    measured++;
}

static double percentile_ms(double part)
{
    uint64_t want = (uint64_t)ceil(part * (double)measured);
    uint64_t seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen >= want && seen > 0) {
            size_t shift = i < 2 * SUB_BUCKETS ? 0 : i / SUB_BUCKETS - 1;
            return (double)((i - shift * SUB_BUCKETS) << shift) / 1000.0;
        }
    }
    return 0;
}

/* --- CPU of the server --- */

static long resident_kib, resident_most_kib;

static long read_resident_kib(void)
{
    long total = 0;
    char list[256];
    snprintf(list, sizeof list, "%s", options.pids);
    for (char *pid = strtok(list, ","); pid != NULL; pid = strtok(NULL, ",")) {
        char path[64];
        long pages = 0;
        snprintf(path, sizeof path, "/proc/%s/statm", pid);
        FILE *file = fopen(path, "r");
        if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
            die(path);
        fclose(file);
        total += pages * (sysconf(_SC_PAGESIZE) / 1024);
    }
    return total;
}

static double cpu_seconds(void)
{
    double total = 0;
    char list[256];
    snprintf(list, sizeof list, "%s", options.pids);
    for (char *pid = strtok(list, ","); pid != NULL; pid = strtok(NULL, ",")) {
        char path[64];
        unsigned long user = 0;
        unsigned long system = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", pid);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            die(path);
        if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                   &system) != 2)
            die(path);
        fclose(file);
        total += (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    }
    return total;
}

/* --- Members --- */

static void send_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t put = send(fd, at, len, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN)
            continue;
        if (put < 0)
            return;
        at += put;
        len -= (size_t)put;
    }
}

static void send_text(int fd, const char *text, size_t len)
{
    char frame[4096];
    size_t at = 0;
    frame[at++] = (char)0x81;
    if (len <= 125) {
        frame[at++] = (char)(0x80 | len);
    } else {
        frame[at++] = (char)(0x80 | 126);
        frame[at++] = (char)(len >> 8);
        frame[at++] = (char)len;
    }
    memset(frame + at, 0, 4); /* a mask of zeroes leaves the payload as it is */
    memcpy(frame + at + 4, text, len);
    send_all(fd, frame, at + 4 + len);
}

/* A small receive buffer, so that what is not read piles up on the server's side at once. */
static void deafen(int fd)
{
    int bytes = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

static void open_member(int index)
{
    struct member *member = &members[index];
    bool deaf = index >= options.members;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr =
                                   htonl(0x7f000002u + (unsigned)(index / PER_ADDRESS))};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)options.port),
                             .sin_addr.s_addr = htonl(0x7f000001u)};
    int on = 1;
    member->fd = socket(AF_INET, SOCK_STREAM, 0);
    member->buffer = malloc(BUFFER_BYTES);
    setsockopt(member->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (deaf)
        deafen(member->fd);
    if (member->fd < 0 || bind(member->fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(member->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(member->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char text[512];
    int len = snprintf(
        text, sizeof text,
        "GET /room/%s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        options.room);
    send_all(member->fd, text, (size_t)len);
    len = snprintf(text, sizeof text, "{\"type\":\"join\",\"name\":\"m%d\"}", index);
    send_text(member->fd, text, (size_t)len);
    fcntl(member->fd, F_SETFL, O_NONBLOCK);
    if (deaf)
        return;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, member->fd, &event);
}

static void take_message(struct member *member, const char *payload, size_t len)
{
    static const char start[] = "{\"type\":\"message\",\"seq\":";
    static const char text[] = "\"text\":\"";
    if (len < sizeof start || memcmp(payload, start, sizeof start - 1) != 0) {
        if (!member->welcomed && memmem(payload, len < 40 ? len : 40, "\"welcome\"", 9) != NULL) {
            member->welcomed = true;
            welcomed++;
        }
        return;
    }
    uint64_t seq = strtoull(payload + sizeof start - 1, NULL, 10);
    if (seq <= member->last_seq)
        disordered++;
    member->last_seq = seq;
    const char *at = memmem(payload, len, text, sizeof text - 1);
    if (!measuring || at == NULL)
        return;
    delivered++;
    frames_bytes += len;
    record(now_us() - strtoll(at + sizeof text - 1, NULL, 10));
}

/* Handles the whole frames at the start of the buffer. */
static void take_frames(struct member *member)
{
    size_t at = 0;
    while (member->len - at >= 2) {
        const uint8_t *frame = (const uint8_t *)member->buffer + at;
        size_t head = 2;
        size_t len = frame[1] & 0x7f;
        if (len == 126) {
            if (member->len - at < 4)
                break;
            head = 4;
            len = (size_t)frame[2] << 8 | frame[3];
        }
        if (member->len - at < head + len)
            break;
        if ((frame[0] & 15) == 9) /* a ping, which has no payload here: a masked pong */
            send_all(member->fd, "\x8a\x80\0\0\0\0", 6);
        if ((frame[0] & 15) == 1)
            take_message(member, (const char *)frame + head, len);
        at += head + len;
    }
    member->len -= at;
    memmove(member->buffer, member->buffer + at, member->len);
}

static void on_readable(struct member *member)
{
    ssize_t got = recv(member->fd, member->buffer + member->len, BUFFER_BYTES - member->len, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, member->fd, NULL);
            closed++;
        }
        return;
    }
    member->len += (size_t)got;
    if (!member->upgraded) {
        char *end = memmem(member->buffer, member->len, "\r\n\r\n", 4);
        if (end == NULL)
            return;
        member->upgraded = true;
        member->len -= (size_t)(end + 4 - member->buffer);
        memmove(member->buffer, end + 4, member->len);
    }
    take_frames(member);
}

static void poll_for(int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++)
        on_readable(&members[events[i].data.u32]);
}

static void say(int index)
{
    char text[4096];
    char body[2048];
    int stamp = snprintf(body, sizeof body, "%" PRId64 " ", now_us());
    for (int i = stamp; i < options.bytes; i++)
        body[i] = 'x';
    body[options.bytes > stamp ? options.bytes : stamp] = '\0';
    int len = snprintf(text, sizeof text, "{\"type\":\"say\",\"text\":\"%s\"}", body);
    send_text(members[index].fd, text, (size_t)len);
    sent++;
}

/* --- The run --- */

static void run_for(double seconds)
{
    int64_t start = now_us();
    int64_t end = start + (int64_t)(seconds * 1e6);
    uint64_t said = 0;
    int64_t sampled = 0;
    while (now_us() < end) {
        if (measuring && now_us() - sampled > 100000) {
            long now_kib = read_resident_kib();
            resident_most_kib = now_kib > resident_most_kib ? now_kib : resident_most_kib;
            sampled = now_us();
        }
        double due = (double)(now_us() - start) / 1e6 * options.rate;
        for (; (double)said < due; said++)
            say((int)(said % (uint64_t)options.members));
        poll_for(1);
    }
}

static void drain(uint64_t expected)
{
    int64_t end = now_us() + 5000000;
    while (delivered < expected && now_us() < end)
        poll_for(10);
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i];
        char *value = argv[i + 1];
        if (strcmp(name, "--port") == 0)
            options.port = atoi(value);
        else if (strcmp(name, "--members") == 0)
            options.members = atoi(value);
        else if (strcmp(name, "--rate") == 0)
            options.rate = atoi(value);
        else if (strcmp(name, "--seconds") == 0)
            options.seconds = atoi(value);
        else if (strcmp(name, "--deaf") == 0)
            options.deaf = atoi(value);
        else if (strcmp(name, "--bytes") == 0)
            options.bytes = atoi(value) > 1500 ? 1500 : atoi(value);
        else if (strcmp(name, "--room") == 0)
            options.room = value;
        else if (strcmp(name, "--pid") == 0)
            options.pids = value;
        else {
            fprintf(stderr, "load: unknown option %s\n", name);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct rlimit files = {0};
    read_options(argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_fd = epoll_create1(0);
    members = calloc((size_t)(options.members + options.deaf), sizeof *members);
    int64_t deadline = now_us() + 60000000;
    for (int i = 0; i < options.members; i++) {
        open_member(i);
        poll_for(0);
    }
    while (welcomed < options.members && now_us() < deadline)
        poll_for(10);
    if (welcomed < options.members) {
        fprintf(stderr, "load: only %d of %d were welcomed\n", welcomed, options.members);
        return 1;
    }
    run_for(2); /* warm up */
    for (int i = 0; i < options.deaf; i++)
        open_member(options.members + i);
    for (int64_t end = now_us() + 500000; now_us() < end;)
        poll_for(10);
    sent = 0;
    measuring = true;
    resident_kib = read_resident_kib();
    double cpu = cpu_seconds();
    int64_t start = now_us();
    run_for(options.seconds);
    double wall = (double)(now_us() - start) / 1e6;
    cpu = cpu_seconds() - cpu;
    drain(sent * (uint64_t)options.members);
    lost = sent * (uint64_t)options.members - delivered;
    printf("{\"members\":%d,\"rate\":%d,\"seconds\":%.1f,\"sent\":%" PRIu64
           ",\"delivered\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"disordered\":%" PRIu64
           ",\"closed\":%" PRIu64
           ",\"frame_bytes\":%.0f,\"cpu_ns_per_delivery\":%.0f,\"cpu_percent\":%.1f"
           ",\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"p999_ms\":%.2f"
           ",\"resident_kib_start\":%ld,\"resident_kib_most\":%ld}\n",
           options.members, options.rate, wall, sent, delivered, lost, disordered, closed,
           delivered > 0 ? (double)frames_bytes / (double)delivered : 0,
           delivered > 0 ? cpu * 1e9 / (double)delivered : 0, cpu / wall * 100, percentile_ms(0.5),
           percentile_ms(0.99), percentile_ms(0.999), resident_kib, resident_most_kib);
    return lost + disordered + closed > 0;
}
