#include "crowd.h"

#include "machine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_BYTES = 1 << 20,
    EVENTS = 512,
    TEXT_HEAD = 26, /* '~', speaker, count, when due: 1 + 1 + 8 + 16 hex digits */
    PER_ADDRESS = 4000,
    MESSAGE_BYTES = 8192,
    NO_SPEAKER = 255,
};

enum state { CONNECTING, GREETED, INSIDE, GONE };

struct client {
    int fd;
    uint32_t partial_len;
    char *partial; /* the beginning of a frame, or of the handshake's answer */
    uint32_t last[CROWD_SPEAKERS];
    uint8_t state;
    uint8_t speaker; /* who it is in its room; NO_SPEAKER: it only listens */
    bool deaf, upgraded;
};

struct speaker {
    uint32_t said;
    int64_t due_us; /* of the last */
};

struct crowd {
    struct crowd_options options;
    struct client *clients;
    int count, most;
    struct speaker *speakers; /* CROWD_SPEAKERS of each room */
    int epoll_fd;
    bool counting;
    int64_t since_us; /* texts that were due before are not counted */
    int64_t read_us;  /* when the bytes at hand were read */
    size_t text_at;   /* where in the last payload its text was: the next one has it there too */
    struct histogram *histogram;
    struct crowd_counts counts;
    char buffer[READ_BYTES];
};

struct crowd *crowd_new(const struct crowd_options *options, int most)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd == NULL)
        machine_fail("memory");
    crowd->options = *options;
    crowd->most = most;
    crowd->clients = calloc((size_t)most, sizeof *crowd->clients);
    crowd->speakers = calloc((size_t)options->rooms * CROWD_SPEAKERS, sizeof *crowd->speakers);
    crowd->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (crowd->clients == NULL || crowd->speakers == NULL || crowd->epoll_fd < 0)
        machine_fail("memory");
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    for (int i = 0; i < crowd->count; i++)
        if (crowd->clients[i].state != GONE)
            crowd_leave(crowd, i, false);
    close(crowd->epoll_fd);
    free(crowd->clients);
    free(crowd->speakers);
    free(crowd);
}

const struct crowd_counts *crowd_counts(const struct crowd *crowd)
{
    return &crowd->counts;
}

/* --- Sending --- */

/* The socket's buffer is far larger than what one client says; should it be full all the same, the
 * server is stuck, and waiting is all there is to do. */
static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t put = send(fd, data, len, MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return; /* reading tells that it is closed */
        if (put > 0) {
            data += put;
            len -= (size_t)put;
        }
    }
}

static void send_frame(const struct crowd *crowd, int fd, const char *payload, size_t len)
{
    char frame[MESSAGE_BYTES + 8];
    size_t at = 2;
    frame[0] = (char)(crowd->options.dialect->binary ? 0x82 : 0x81);
    frame[1] = (char)(0x80 | (len <= 125 ? len : 126));
    if (len > 125) {
        frame[at++] = (char)(len >> 8);
        frame[at++] = (char)len;
    }
    memset(frame + at, 0, 4); /* a mask of zeroes leaves the payload as it is */
    memcpy(frame + at + 4, payload, len);
    send_all(fd, frame, at + 4 + len);
}

static int room_of(const struct crowd *crowd, int index)
{
    return index % crowd->options.rooms;
}

/* Fills in %s (the room) and %d (the client); returns the length. */
static size_t expand(const struct crowd *crowd, const char *pattern, int index, char *out)
{
    size_t len = 0;
    for (; *pattern != '\0' && len < MESSAGE_BYTES - 128; pattern++) {
        if (*pattern != '%')
            out[len++] = *pattern;
        else if (*++pattern == 's')
            len += (size_t)snprintf(out + len, 100, "%s%d", crowd->options.room,
                                    room_of(crowd, index));
        else
            len += (size_t)snprintf(out + len, 100, "%d", index);
    }
    return len;
}

static int connect_socket(const struct crowd *crowd, int index, bool deaf)
{
    const struct crowd_options *options = &crowd->options;
    int way = options->spread ? index / options->rooms : room_of(crowd, index);
    uint32_t host =
        0x7f000002u + ((uint32_t)options->source << 16) + (uint32_t)(index / PER_ADDRESS);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)options->ports[way % options->port_count]),
                             .sin_addr.s_addr = htonl(0x7f000001u)};
    int on = 1;
    int small = 4096;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (deaf) /* what is not read piles up on the server's side at once */
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        machine_fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void crowd_connect(struct crowd *crowd, bool deaf)
{
    char text[MESSAGE_BYTES];
    char path[MESSAGE_BYTES];
    int index = crowd->count;
    if (index >= crowd->most)
        return;
    struct client *client = &crowd->clients[crowd->count++];
    int speaker = index / crowd->options.rooms;
    *client = (struct client){.fd = connect_socket(crowd, index, deaf),
                              .speaker = (uint8_t)(speaker < CROWD_SPEAKERS ? speaker : NO_SPEAKER),
                              .deaf = deaf};
    path[expand(crowd, crowd->options.dialect->path, index, path)] = '\0';
    int len = 0;
    if (crowd->options.proxied)
        len = snprintf(text, 64, "PROXY TCP4 198.51.%d.%d 192.0.2.1 1000 80\r\n", index >> 8 & 255,
                       index & 255);
    len += snprintf(text + len, sizeof text - 64,
                    "GET %.400s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                    path, crowd->options.dialect->headers);
    send_all(client->fd, text, (size_t)len);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

/* A client that has just answered the server delays its acknowledgements, and then the server's
 * core pays for them, until there is a pause of 40 ms; one that never said a word sends them from
 * its own. All systems' clients shall be alike, whatever their way of coming in. */
static void be_inside(struct crowd *crowd, struct client *client)
{
    int on = 1;
    if (client->state == INSIDE)
        return;
    setsockopt(client->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    client->state = INSIDE;
    crowd->counts.inside++;
}

void crowd_come_in(struct crowd *crowd, int index)
{
    char text[MESSAGE_BYTES];
    struct client *client = &crowd->clients[index];
    const struct dialect *dialect = crowd->options.dialect;
    if (client->state == GONE)
        return;
    if (dialect->hello != NULL)
        send_frame(crowd, client->fd, text, expand(crowd, dialect->hello, index, text));
    if (dialect->welcome == NULL && !client->deaf)
        be_inside(crowd, client);
    if (client->deaf)
        epoll_ctl(crowd->epoll_fd, EPOLL_CTL_DEL, client->fd, NULL);
}

static void forget(struct client *client)
{
    close(client->fd);
    free(client->partial);
    *client = (struct client){.fd = -1, .state = GONE};
}

void crowd_leave(struct crowd *crowd, int index, bool politely)
{
    struct client *client = &crowd->clients[index];
    const char *leave = crowd->options.dialect->leave;
    if (client->state == GONE)
        return;
    if (politely && leave != NULL)
        send_frame(crowd, client->fd, leave, strlen(leave));
    if (politely)
        shutdown(client->fd, SHUT_WR);
    else
        forget(client);
}

void crowd_empty(struct crowd *crowd)
{
    for (int i = 0; i < crowd->count; i++)
        crowd_leave(crowd, i, false);
    crowd->count = 0;
    crowd->counts.upgraded = crowd->counts.inside = crowd->counts.closed = 0;
}

/* --- Saying --- */

static size_t text_length(const struct crowd *crowd, size_t around)
{
    const struct crowd_options *options = &crowd->options;
    size_t len = (size_t)options->bytes;
    if (options->dialect->relays && options->payload > 0)
        len = (size_t)options->payload > around ? (size_t)options->payload - around : 0;
    if (len < TEXT_HEAD)
        len = TEXT_HEAD;
    return len > MESSAGE_BYTES - 1024 ? MESSAGE_BYTES - 1024 : len;
}

void crowd_say(struct crowd *crowd, int room, int speaker, int64_t due_us)
{
    char frame[MESSAGE_BYTES];
    const struct dialect *dialect = crowd->options.dialect;
    int index = room + speaker % CROWD_SPEAKERS * crowd->options.rooms;
    if (index >= crowd->count)
        index = room, speaker = 0;
    if (crowd->clients[index].state != INSIDE)
        return;
    struct speaker *who = &crowd->speakers[room * CROWD_SPEAKERS + speaker];
    who->due_us = due_us;
    uint32_t number = ++who->said;
    size_t len = expand(crowd, dialect->before, index, frame);
    size_t text_len = text_length(crowd, len + strlen(dialect->after));
    if (dialect->after_length != NULL) {
        text_len = text_length(crowd, 0);
        len += (size_t)sprintf(frame + len, "%zu%s", text_len, dialect->after_length);
    }
    sprintf(frame + len, "~%x%08" PRIx32 "%016" PRIx64, (unsigned)speaker, number,
            (uint64_t)due_us);
    memset(frame + len + TEXT_HEAD, 'x', text_len - TEXT_HEAD);
    len += text_len;
    memcpy(frame + len, dialect->after, strlen(dialect->after));
    send_frame(crowd, crowd->clients[index].fd, frame, len + strlen(dialect->after));
    int here = (crowd->counts.inside - room + crowd->options.rooms - 1) / crowd->options.rooms;
    if (crowd->counting && due_us >= crowd->since_us)
        crowd->counts.expected += (uint64_t)here;
}

void crowd_count(struct crowd *crowd, struct histogram *histogram)
{
    crowd->counting = true;
    crowd->since_us = machine_now_us();
    crowd->histogram = histogram;
    crowd->counts.expected = crowd->counts.delivered = crowd->counts.frame_bytes = 0;
    crowd->counts.skipped = crowd->counts.refused = 0;
}

void crowd_tell_missing(const struct crowd *crowd)
{
    int rooms = crowd->options.rooms;
    int64_t now_us = machine_now_us();
    for (int i = 0; i < rooms * CROWD_SPEAKERS; i++) {
        const struct speaker *who = &crowd->speakers[i];
        int missed = 0;
        for (int at = i / CROWD_SPEAKERS; at < crowd->count; at += rooms)
            if (crowd->clients[at].state == INSIDE &&
                crowd->clients[at].last[i % CROWD_SPEAKERS] < who->said)
                missed++;
        if (missed > 0)
            fprintf(stderr,
                    "load: room %d: %d did not hear text %" PRIu32
                    " of speaker %d, due %.1f s ago\n",
                    i / CROWD_SPEAKERS, missed, who->said, i % CROWD_SPEAKERS,
                    (double)(now_us - who->due_us) / 1e6);
    }
}

/* --- Reading --- */

/* Eight hex digits, all at once: this is done for each delivery. */
static uint32_t read_hex8(const char *at)
{
    uint64_t digits;
    memcpy(&digits, at, sizeof digits);
    digits = __builtin_bswap64(digits); /* the first digit is the highest; little-endian only */
    digits = (digits & 0x0f0f0f0f0f0f0f0f) + (digits >> 6 & 0x0101010101010101) * 9;
    digits = (digits | digits >> 4) & 0x00ff00ff00ff00ff;
    digits = (digits | digits >> 8) & 0x0000ffff0000ffff;
    return (uint32_t)(digits | digits >> 16);
}

static void take_text(struct crowd *crowd, struct client *client, const char *text)
{
    unsigned speaker = (unsigned)((text[1] & 15) + (text[1] >> 6) * 9) % CROWD_SPEAKERS;
    uint32_t number = read_hex8(text + 2);
    int64_t due_us = (int64_t)((uint64_t)read_hex8(text + 10) << 32 | read_hex8(text + 18));
    struct crowd_counts *counts = &crowd->counts;
    if (number == client->last[speaker])
        counts->doubled++;
    else if (number < client->last[speaker])
        counts->disordered++;
    else
        counts->skipped += number - client->last[speaker] - 1;
    if (number > client->last[speaker])
        client->last[speaker] = number;
    if (client->speaker == speaker)
        counts->own++;
    if (!crowd->counting || due_us < crowd->since_us)
        return;
    counts->delivered++;
    histogram_add(crowd->histogram, crowd->read_us - due_us);
}

static bool begins(const char *payload, size_t len, const char *word)
{
    return word != NULL && len >= strlen(word) && memcmp(payload, word, strlen(word)) == 0;
}

static const char *find_text(struct crowd *crowd, const char *payload, size_t len)
{
    if (crowd->text_at + TEXT_HEAD <= len && payload[crowd->text_at] == '~')
        return payload + crowd->text_at;
    const char *text = memchr(payload, '~', len);
    if (text == NULL || (size_t)(text - payload) + TEXT_HEAD > len)
        return NULL;
    crowd->text_at = (size_t)(text - payload);
    return text;
}

static void take_texts(struct crowd *crowd, struct client *client, const char *payload, size_t len)
{
    const char *end = payload + len;
    const char *at = find_text(crowd, payload, len);
    uint64_t before = crowd->counts.delivered;
    if (at == NULL && begins(payload, len, crowd->options.dialect->refusal))
        crowd->counts.refused++;
    while (at != NULL && end - at >= TEXT_HEAD) {
        take_text(crowd, client, at);
        if (!crowd->options.dialect->packs)
            break;
        at += TEXT_HEAD;
        at = memchr(at, '~', (size_t)(end - at));
    }
    if (crowd->counts.delivered > before)
        crowd->counts.frame_bytes += len;
}

static void take_payload(struct crowd *crowd, struct client *client, const char *payload,
                         size_t len)
{
    const struct dialect *dialect = crowd->options.dialect;
    if (client->state == INSIDE && len > TEXT_HEAD) {
        take_texts(crowd, client, payload, len);
    } else if (client->state == CONNECTING && begins(payload, len, dialect->greeting)) {
        client->state = GREETED;
        crowd->counts.upgraded++;
    } else if (client->state == GREETED && begins(payload, len, dialect->welcome)) {
        be_inside(crowd, client);
    } else if (client->state == GREETED && begins(payload, len, dialect->again)) {
        crowd->counts.again++;
        crowd_come_in(crowd, (int)(client - crowd->clients));
    } else if (client->state == GREETED && begins(payload, len, dialect->refusal)) {
        if (crowd->counts.refused++ == 0)
            fprintf(stderr, "load: the first who was refused: %.*s\n", (int)len, payload);
    } else if (dialect->ask != NULL && len == strlen(dialect->ask) &&
               begins(payload, len, dialect->ask)) {
        send_frame(crowd, client->fd, dialect->answer, strlen(dialect->answer));
    }
}

static void take_frame(struct crowd *crowd, struct client *client, int opcode, const char *payload,
                       size_t len)
{
    if (opcode == 9 && len <= 125) {
        char pong[6 + 125] = {(char)0x8a, (char)(0x80 | len)};
        memcpy(pong + 6, payload, len);
        send_all(client->fd, pong, 6 + len);
    } else if (opcode == 1 || opcode == 2) {
        take_payload(crowd, client, payload, len);
    }
}

/* Handles the whole frames at the start; returns how many bytes they had. */
static size_t take_frames(struct crowd *crowd, struct client *client, const char *data, size_t len)
{
    size_t at = 0;
    while (len - at >= 2) {
        const uint8_t *frame = (const uint8_t *)data + at;
        size_t head = 2;
        size_t payload = frame[1] & 0x7f;
        if (payload == 126) {
            head = 4;
            payload = len - at < head ? READ_BYTES : (size_t)(frame[2] << 8 | frame[3]);
        } else if (payload == 127) {
            head = 10;
            payload = len - at < head ? READ_BYTES
                                      : (size_t)frame[6] << 24 | (size_t)frame[7] << 16 |
                                            (size_t)frame[8] << 8 | frame[9];
        }
        if (len - at < head + payload)
            break;
        take_frame(crowd, client, frame[0] & 15, (const char *)frame + head, payload);
        at += head + payload;
    }
    return at;
}

static size_t take_answer(struct crowd *crowd, struct client *client, const char *data, size_t len)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    if (!begins(data, len, "HTTP/1.1 101")) {
        fprintf(stderr, "load: refused: %.60s\n", data);
        exit(1);
    }
    client->upgraded = true;
    if (crowd->options.dialect->greeting == NULL) {
        client->state = GREETED;
        crowd->counts.upgraded++;
    }
    return (size_t)(end + 4 - data);
}

static void keep_rest(struct client *client, const char *rest, size_t len)
{
    free(client->partial);
    client->partial = NULL;
    client->partial_len = (uint32_t)len;
    if (len == 0)
        return;
    client->partial = malloc(len);
    if (client->partial == NULL)
        machine_fail("memory");
    memcpy(client->partial, rest, len);
}

static void on_readable(struct crowd *crowd, struct client *client)
{
    size_t len = client->partial_len;
    if (len > 0)
        memcpy(crowd->buffer, client->partial, len);
    ssize_t got = recv(client->fd, crowd->buffer + len, READ_BYTES - len, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        forget(client);
        crowd->counts.closed++;
        return;
    }
    len += (size_t)got;
    crowd->read_us = machine_now_us();
    size_t at = client->upgraded ? 0 : take_answer(crowd, client, crowd->buffer, len);
    if (client->upgraded)
        at += take_frames(crowd, client, crowd->buffer + at, len - at);
    if (at < len || client->partial_len > 0)
        keep_rest(client, crowd->buffer + at, len - at);
}

/* Returns whether there may be more. */
static bool read_some(struct crowd *crowd, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(crowd->epoll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++)
        on_readable(crowd, &crowd->clients[events[i].data.u32]);
    return count == EVENTS;
}

void crowd_poll(struct crowd *crowd, int timeout_ms)
{
    read_some(crowd, timeout_ms);
}

void crowd_doze(struct crowd *crowd, int ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
    while (read_some(crowd, 0))
        ;
}
