#include "http/server.h"

#include "base/clock.h"
#include "base/memory.h"
#include "http/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_DEADLINE_S = 10, /* from the first byte to the end of the head */
    SEND_DEADLINE_S = 60, /* for a whole answer */
    LINGER_S = 2,
    LONGEST_S = 60, /* of these */
};

static void drop(struct http_client *client);

/* Waits for the socket. Returns -1 when there is no room for one more: the client is dropped. */
static int await(struct http_client *client, unsigned what)
{
    if (poller_watch(client->http->options.poller, client->fd, &client->watch, client->watched,
                     what) != 0) {
        refusals_note(client->http->options.refusals, REFUSAL_KERNEL_MEMORY, NULL);
        drop(client);
        return -1;
    }
    client->watched = what;
    return 0;
}

static void set_deadline(struct http_client *client, unsigned in_s)
{
    wheel_add(client->http->wheel, &client->on_wheel, in_s);
}

/* Between requests. A tick more, because the present one has begun: balancers keep connections for
 * a time of their own, and shall not find one closed that they were promised. */
static void set_idle_deadline(struct http_client *client)
{
    uint64_t keep_alive = client->http->options.config->keep_alive;
    set_deadline(client, keep_alive == 0 ? LONGEST_S : (unsigned)keep_alive + 1);
}

int http_release(struct http_client *client)
{
    int fd = client->fd;
    poller_watch(client->http->options.poller, fd, &client->watch, client->watched, 0);
    list_remove(&client->on_wheel);
    list_remove(&client->in_idle);
    client->http->client_count--;
    if (client->counted)
        quota_give(client->http->quota, &client->peer);
    free(client->in);
    response_done(&client->response);
    free(client);
    return fd;
}

static void drop(struct http_client *client)
{
    close(http_release(client));
}

/* --- Sending --- */

/* A client that was refused may still be sending: closing at once would make the kernel reset the
 * connection and the answer would be lost. */
static void linger(struct http_client *client)
{
    client->lingering = true;
    shutdown(client->fd, SHUT_WR);
    set_deadline(client, LINGER_S);
    await(client, POLLER_READ);
}

static void finish_answer(struct http_client *client)
{
    client->answering = false;
    client->answered = true;
    response_done(&client->response);
    if (!client->response.keep_alive) {
        linger(client);
        return;
    }
    if (client->in_len > 0) {
        set_deadline(client, HEAD_DEADLINE_S);
    } else {
        set_idle_deadline(client);
        list_add(&client->http->idle, &client->in_idle);
    }
    /* a next request that came with this one: in the next turn, not in recursion */
    client->unseen = client->in_len > 0;
    await(client, client->unseen ? POLLER_WRITE : POLLER_READ);
}

static void send_answer(struct http_client *client)
{
    int result = response_write(&client->response, client->fd);
    if (result > 0)
        finish_answer(client);
    else if (result == 0)
        await(client, POLLER_WRITE);
    else
        drop(client);
}

static void begin_answer(struct http_client *client)
{
    client->answering = true;
    client->http->options.metrics->http_requests++;
    set_deadline(client, SEND_DEADLINE_S);
    send_answer(client);
}

/* --- Receiving --- */

static void answer_error(struct http_client *client, int status, const char *sentence)
{
    client->response.keep_alive = false;
    client->response.is_head = false;
    response_refuse(&client->response, status, sentence);
    begin_answer(client);
}

static void answer_bad(struct http_client *client, int error)
{
    if (error == HTTP_REQUEST_TOO_MANY_HEADERS) {
        refusals_note(client->http->options.refusals, REFUSAL_HEADERS, NULL);
        answer_error(client, 431, "The request has too many headers.");
    } else if (error == HTTP_REQUEST_CODING) {
        answer_error(client, 501, "No transfer coding but chunked is known here.");
    } else if (error == HTTP_REQUEST_VERSION) {
        answer_error(client, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    } else {
        answer_error(client, 400, "This request is malformed.");
    }
}

/* Keeps what is not yet a whole head. */
static void keep(struct http_client *client, const char *data, size_t len)
{
    char *copy = len == 0 ? NULL : memory_copy(data, len);
    free(client->in);
    client->in = copy;
    client->in_len = len;
}

/* Many people may share an address, and who rests needs no more than to come again: half of the
 * address' sockets is for those who ask. */
static bool may_rest(const struct http_client *client)
{
    const struct http *http = client->http;
    return !http->draining && !(client->counted && quota_is_scarce(http->quota, &client->peer));
}

/* Answers the request whose head is at the start of `data`. The bytes belong to the caller. */
static void answer(struct http_client *client, char *data, size_t head_len, size_t len)
{
    struct http_request request;
    int error = http_request_parse(data, head_len, &request);
    if (error != 0) {
        answer_bad(client, error);
        return;
    }
    client->response.keep_alive = http_request_keeps_alive(&request) && may_rest(client);
    client->response.is_head = strcmp(request.method, "HEAD") == 0;
    if (request.has_body) {
        answer_error(client, 413, "Nothing here takes a request with a body.");
        return;
    }
    if (http_route(client, &request, data + head_len, len - head_len))
        return;
    keep(client, data + head_len, len - head_len);
    begin_answer(client);
}

/* Looks at what has arrived; `seen` bytes of it were looked at before. */
static void take(struct http_client *client, char *data, size_t len, size_t seen)
{
    size_t head_len = http_request_head_len(data, len, seen);
    if (head_len > 0) {
        answer(client, data, head_len, len);
    } else if (len >= client->http->options.config->max_head) {
        refusals_note(client->http->options.refusals, REFUSAL_MAX_HEAD, NULL);
        answer_error(client, 431, "The head of the request is too long.");
    } else if (http_request_is_hopeless(data, len, seen)) {
        answer_bad(client, HTTP_REQUEST_BAD);
    } else {
        keep(client, data, len);
        await(client, POLLER_READ);
    }
}

/* Goes on with what was sent together with the request before. */
static void process(struct http_client *client)
{
    char *data = client->in;
    size_t len = client->in_len;
    client->unseen = false;
    client->in = NULL;
    client->in_len = 0;
    take(client, data, len, 0);
    free(data);
}

/* The scratch buffer holds what was kept and what is read now, never more than max-head bytes. */
static void receive(struct http_client *client)
{
    struct http *http = client->http;
    size_t kept = client->in_len;
    ssize_t got = read(client->fd, http->scratch + kept, http->options.config->max_head - kept);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        await(client, POLLER_READ);
        return;
    }
    if (got <= 0) {
        drop(client);
        return;
    }
    list_remove(&client->in_idle);
    if (kept == 0)
        set_deadline(client, HEAD_DEADLINE_S);
    else
        memcpy(http->scratch, client->in, kept);
    take(client, http->scratch, kept + (size_t)got, kept);
}

static void drop_input(struct http_client *client)
{
    ssize_t got = read(client->fd, client->http->scratch, client->http->options.config->max_head);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        drop(client);
    else
        await(client, POLLER_READ);
}

/* When the gateway is behind, a request may wait to be read on a connection that seems to rest. */
static bool has_come(const struct http_client *client)
{
    char byte;
    return recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Of somebody who was awaited: with a part of a head, or at rest. */
static void on_waited(struct http_client *client)
{
    if (client->in_len > 0) {
        refusals_note(client->http->options.refusals, REFUSAL_HEAD_TIME, NULL);
        answer_error(client, 408, "The request did not come in time.");
    } else if (has_come(client)) {
        receive(client);
    } else if (client->answered && client->http->options.config->keep_alive == 0) {
        set_idle_deadline(client);
    } else {
        drop(client);
    }
}

static void on_deadline(struct link *item)
{
    struct http_client *client = LIST_ITEM(item, struct http_client, on_wheel);
    if (!client->answering && !client->lingering) {
        on_waited(client);
        return;
    }
    if (client->answering)
        refusals_note(client->http->options.refusals, REFUSAL_ANSWER_TIME, NULL);
    drop(client);
}

static void on_ready(struct watch *watch, unsigned ready)
{
    (void)ready;
    struct http_client *client = LIST_ITEM(watch, struct http_client, watch);
    if (client->answering)
        send_answer(client);
    else if (client->lingering)
        drop_input(client);
    else if (client->unseen)
        process(client);
    else
        receive(client);
}

/* --- Life --- */

/* Without keeping anything of it. What has come is read first: closing would reset the connection
 * else, and the answer would be lost. */
static void reject(struct http *http, int fd, int status)
{
    recv(fd, http->scratch, http->options.config->max_head, MSG_DONTWAIT);
    response_send_bare(fd, status);
    close(fd);
}

/* For a newcomer when there are as many sockets as there can be: somebody who rests can come again.
 */
static bool make_room(struct http *http)
{
    uint64_t sockets = http->client_count + connections_count(http->options.connections);
    if (sockets < http->options.max_sockets)
        return true;
    if (list_is_empty(&http->idle))
        return false;
    drop(LIST_ITEM(http->idle.next, struct http_client, in_idle));
    return true;
}

/* Sockets that are no WebSockets are counted by peer: of a trusted proxy, which has many clients,
 * none. */
static bool take_share(struct http *http, const struct address *peer, bool *counted)
{
    *counted = !client_address_is_trusted(http->options.addresses, peer);
    return !*counted || quota_take(http->quota, peer);
}

void http_accept(struct http *http, int fd, const struct address *peer)
{
    bool counted;
    if (!make_room(http)) {
        refusals_note(http->options.refusals, REFUSAL_DESCRIPTORS, NULL);
        reject(http, fd, 503);
        return;
    }
    if (!take_share(http, peer, &counted)) {
        client_address_note_refused(http->options.addresses, peer);
        reject(http, fd, 429);
        return;
    }
    struct http_client *client = memory_new(sizeof *client);
    client->http = http;
    client->fd = fd;
    client->peer = *peer;
    client->counted = counted;
    client->watch.on_ready = on_ready;
    list_init(&client->on_wheel);
    list_init(&client->in_idle);
    http->client_count++;
    set_deadline(client, HEAD_DEADLINE_S);
    receive(client); /* in a storm the request is there already */
}

static uint32_t now_s(void)
{
    return (uint32_t)(clock_monotonic_ms() / 1000);
}

void http_tick(struct http *http)
{
    wheel_advance(http->wheel, now_s(), on_deadline);
}

struct http *http_new(const struct http_options *options)
{
    struct http *http = memory_new(sizeof *http);
    http->options = *options;
    http->scratch = memory_new(options->config->max_head + 1);
    list_init(&http->idle);
    http->quota = quota_new(options->config->max_connections_per_address);
    uint64_t keep_alive = options->config->keep_alive;
    http->wheel = wheel_new(keep_alive < LONGEST_S ? LONGEST_S : (unsigned)keep_alive + 1, now_s());
    return http;
}

static void drop_item(struct link *item)
{
    drop(LIST_ITEM(item, struct http_client, on_wheel));
}

void http_free(struct http *http)
{
    if (http == NULL)
        return;
    wheel_empty(http->wheel, drop_item);
    wheel_free(http->wheel);
    quota_free(http->quota);
    free(http->scratch);
    free(http);
}

void http_announce_drain(struct http *http)
{
    http->leaving = true;
}

void http_drain(struct http *http)
{
    http->leaving = true;
    http->draining = true;
}
