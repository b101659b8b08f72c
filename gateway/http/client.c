#include "http/client.h"

#include "base/memory.h"
#include "base/wheel.h"
#include "http/internal.h"
#include "http/proxy_peer.h"
#include "websocket/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_DEADLINE_S = 10,                     /* from the first byte to the end of the head */
    SEND_DEADLINE_S = HTTP_CLIENT_MAX_WAIT_S, /* for a whole answer */
    LINGER_S = 2,
};

struct http_client {
    struct watch watch;
    struct http_server *server;
    struct link on_wheel;
    struct link in_idle;
    struct address peer;
    int fd;
    unsigned watched; /* what the poller waits for */
    char *in;         /* the beginning of a head, NULL while nothing is there */
    size_t in_len;
    struct response response; /* the answer, while there is one */
    bool counted;             /* by the quota of peers */
    bool proxied;             /* a PROXY header is to come */
    bool hidden;              /* one came that names nobody */
    bool answering;
    bool answered;  /* a request on it was answered */
    bool pipelined; /* `in` came with the request before, and was not looked at */
    bool lingering; /* everything is sent; what still comes is dropped */
};

static void drop_client(struct http_client *client);

/* Drops the client when the kernel has no memory to watch one more. */
static void wait_for_socket(struct http_client *client, unsigned what)
{
    if (poller_watch(client->server->options.poller, client->fd, &client->watch, client->watched,
                     what) == 0) {
        client->watched = what;
        return;
    }
    refusals_note(client->server->options.refusals, REFUSAL_KERNEL_MEMORY, NULL);
    drop_client(client);
}

static void set_deadline(struct http_client *client, unsigned in_s)
{
    wheel_add(client->server->wheel, &client->on_wheel, in_s);
}

/* Between requests. A tick more, because the current one has begun: balancers keep connections for
 * a time of their own, and shall not find one closed that they were promised. */
static void set_idle_deadline(struct http_client *client)
{
    uint64_t keep_alive = client->server->options.config->keep_alive;
    set_deadline(client, keep_alive == 0 ? HTTP_CLIENT_MAX_WAIT_S : (unsigned)keep_alive + 1);
}

int http_client_take_socket(struct http_client *client)
{
    int fd = client->fd;
    poller_watch(client->server->options.poller, fd, &client->watch, client->watched, 0);
    list_remove(&client->on_wheel);
    list_remove(&client->in_idle);
    client->server->count--;
    if (client->counted)
        quota_give(client->server->quota, &client->peer);
    free(client->in);
    response_done(&client->response);
    free(client);
    return fd;
}

static void drop_client(struct http_client *client)
{
    close(http_client_take_socket(client));
}

/* --- Sending --- */

/* A client that was refused may still be sending: closing at once would make the kernel reset the
 * connection, and the answer would be lost (RFC 9112 section 9.6). */
static void linger(struct http_client *client)
{
    client->lingering = true;
    shutdown(client->fd, SHUT_WR);
    set_deadline(client, LINGER_S);
    wait_for_socket(client, POLLER_READ);
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
    client->pipelined = client->in_len > 0;
    if (client->pipelined) {
        set_deadline(client, HEAD_DEADLINE_S);
    } else {
        set_idle_deadline(client);
        list_add(&client->server->idle, &client->in_idle);
    }
    /* a pipelined request is handled in the next iteration, not in recursion */
    wait_for_socket(client, client->pipelined ? POLLER_WRITE : POLLER_READ);
}

static void send_answer(struct http_client *client)
{
    int result = response_write(&client->response, client->fd);
    if (result > 0)
        finish_answer(client);
    else if (result == 0)
        wait_for_socket(client, POLLER_WRITE);
    else
        drop_client(client);
}

static void begin_answer(struct http_client *client)
{
    client->answering = true;
    client->server->options.metrics->http_requests++;
    set_deadline(client, SEND_DEADLINE_S);
    send_answer(client);
}

/* --- Receiving --- */

/* Keeps what is not yet a whole head. */
static void keep_head(struct http_client *client, const char *data, size_t len)
{
    char *copy = len == 0 ? NULL : memory_copy(data, len);
    free(client->in);
    client->in = copy;
    client->in_len = len;
}

/* Nothing that came is looked at again. */
static void answer_error(struct http_client *client, int status, const char *sentence)
{
    keep_head(client, NULL, 0);
    client->response.keep_alive = false;
    response_say(&client->response, status, sentence);
    begin_answer(client);
}

static void answer_parse_error(struct http_client *client, int error)
{
    if (error == HTTP_REQUEST_TOO_MANY_HEADERS) {
        refusals_note(client->server->options.refusals, REFUSAL_HEADERS, NULL);
        answer_error(client, 431, "The request has too many headers.");
    } else if (error == HTTP_REQUEST_CODING) {
        answer_error(client, 501, "No transfer coding but chunked is known here.");
    } else if (error == HTTP_REQUEST_VERSION) {
        answer_error(client, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    } else {
        answer_error(client, 400, "This request is malformed.");
    }
}

/* Many people may share an address, and an idle client loses nothing by connecting again: half of
 * the address' sockets is for those who ask. */
static bool may_stay_idle(const struct http_client *client)
{
    const struct http_server *server = client->server;
    return !server->draining && !(client->counted && quota_is_scarce(server->quota, &client->peer));
}

/* Answers the request whose head is at the start of `data`. The bytes belong to the caller. */
static void answer(struct http_client *client, char *data, size_t head_len, size_t len)
{
    const struct http_server *server = client->server;
    struct http_request request;
    int error = http_request_parse(data, head_len, &request);
    if (error != 0) {
        answer_parse_error(client, error);
        return;
    }
    client->response.keep_alive = http_request_keeps_alive(&request) && may_stay_idle(client);
    client->response.is_head = strcmp(request.method, "HEAD") == 0;
    if (request.has_body) {
        answer_error(client, 413, "Nothing here takes a request with a body.");
        return;
    }
    const struct http_call call = {
        .client = client,
        .peer = &client->peer,
        .peer_is_hidden = client->hidden,
        .request = &request,
        .early = data + head_len,
        .early_len = len - head_len,
        .response = &client->response,
        .must_move = server->draining && client->answered,
    };
    if (server->options.on_request(server->options.arg, &call))
        return;
    keep_head(client, data + head_len, len - head_len);
    begin_answer(client);
}

/* Looks at what has arrived; `seen` bytes of it were looked at before. */
static void handle_bytes(struct http_client *client, char *data, size_t len, size_t seen)
{
    size_t head_len = http_request_head_len(data, len, seen);
    if (head_len > 0) {
        answer(client, data, head_len, len);
    } else if (len >= client->server->options.config->max_head) {
        refusals_note(client->server->options.refusals, REFUSAL_MAX_HEAD, NULL);
        answer_error(client, 431, "The head of the request is too long.");
    } else if (http_request_is_hopeless(data, len, seen)) {
        answer_parse_error(client, HTTP_REQUEST_BAD);
    } else {
        keep_head(client, data, len);
        wait_for_socket(client, POLLER_READ);
    }
}

static void handle_pipelined(struct http_client *client)
{
    char *data = client->in;
    size_t len = client->in_len;
    client->pipelined = false;
    client->in = NULL;
    client->in_len = 0;
    handle_bytes(client, data, len, 0);
    free(data);
}

/* Takes the PROXY header off what has arrived. Returns its length; 0 when nothing is left to look
 * at: more is to come, or the client is gone. */
static size_t take_proxy_header(struct http_client *client, char *data, size_t len)
{
    struct http_server *server = client->server;
    int header = proxy_peer_read(data, len, &client->peer, &client->hidden);
    if (header < 0) {
        refusals_note(server->options.refusals, REFUSAL_PROXY_HEADER, NULL);
        drop_client(client);
    } else if (header == 0) {
        keep_head(client, data, len);
        wait_for_socket(client, POLLER_READ);
    } else if (!http_server_count_peer(server, &client->peer, &client->counted)) {
        response_send_bare(client->fd, 429);
        drop_client(client);
    } else {
        client->proxied = false;
        keep_head(client, NULL, 0);
        return (size_t)header;
    }
    return 0;
}

/* The scratch buffer holds what was kept and what is read now, never more than max-head bytes. */
static void read_head(struct http_client *client)
{
    struct http_server *server = client->server;
    size_t kept = client->in_len;
    ssize_t got = read(client->fd, server->scratch + kept, server->options.config->max_head - kept);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        wait_for_socket(client, POLLER_READ);
        return;
    }
    if (got <= 0) {
        drop_client(client);
        return;
    }
    list_remove(&client->in_idle);
    if (kept == 0)
        set_deadline(client, HEAD_DEADLINE_S);
    else
        memcpy(server->scratch, client->in, kept);
    size_t len = kept + (size_t)got;
    size_t header = 0;
    if (client->proxied) {
        header = take_proxy_header(client, server->scratch, len);
        if (header == 0)
            return;
        kept = 0;
    }
    handle_bytes(client, server->scratch + header, len - header, kept);
}

static void drop_input(struct http_client *client)
{
    ssize_t got =
        read(client->fd, client->server->scratch, client->server->options.config->max_head);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        drop_client(client);
    else
        wait_for_socket(client, POLLER_READ);
}

/* When the gateway is behind, a request may wait to be read on a connection that seems idle. */
static bool has_input(const struct http_client *client)
{
    char byte;
    return recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Inside a head, or between requests. */
static void on_read_timeout(struct http_client *client)
{
    if (client->in_len == 0 && has_input(client)) {
        read_head(client);
    } else if (client->proxied) {
        refusals_note(client->server->options.refusals, REFUSAL_PROXY_HEADER, NULL);
        drop_client(client);
    } else if (client->in_len > 0) {
        refusals_note(client->server->options.refusals, REFUSAL_HEAD_TIME, NULL);
        answer_error(client, 408, "The request did not come in time.");
    } else if (client->answered && client->server->options.config->keep_alive == 0) {
        set_idle_deadline(client);
    } else {
        drop_client(client);
    }
}

void http_client_note_deadline(struct link *on_wheel)
{
    const struct http_client *client = LIST_ITEM(on_wheel, struct http_client, on_wheel);
    list_add(&client->server->overdue, on_wheel);
}

void http_client_on_deadline(struct link *on_wheel)
{
    struct http_client *client = LIST_ITEM(on_wheel, struct http_client, on_wheel);
    list_remove(on_wheel);
    if (!client->answering && !client->lingering) {
        on_read_timeout(client);
        return;
    }
    if (client->answering)
        refusals_note(client->server->options.refusals, REFUSAL_ANSWER_TIME, NULL);
    drop_client(client);
}

static void on_client_ready(struct watch *watch, unsigned ready)
{
    (void)ready;
    struct http_client *client = LIST_ITEM(watch, struct http_client, watch);
    if (client->answering)
        send_answer(client);
    else if (client->lingering)
        drop_input(client);
    else if (client->pipelined)
        handle_pipelined(client);
    else
        read_head(client);
}

/* --- Opening and dropping --- */

void http_client_open(struct http_server *server, int fd, const struct address *peer, bool counted,
                      bool proxied)
{
    struct http_client *client = memory_new(sizeof *client);
    client->server = server;
    client->fd = fd;
    client->peer = *peer;
    client->counted = counted;
    client->proxied = proxied;
    client->watch.on_ready = on_client_ready;
    list_init(&client->on_wheel);
    list_init(&client->in_idle);
    server->count++;
    set_deadline(client, HEAD_DEADLINE_S);
    read_head(client); /* in a burst of newcomers the request is there already */
}

void http_client_drop(struct link *on_wheel)
{
    drop_client(LIST_ITEM(on_wheel, struct http_client, on_wheel));
}

void http_client_drop_longest_idle(struct http_server *server)
{
    drop_client(LIST_ITEM(server->idle.next, struct http_client, in_idle));
}
