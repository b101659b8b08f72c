/* The handshake: from HTTP to WebSocket. */
#include "http/internal.h"

#include "protocol/handshake.h"
#include "websocket/echo.h"

#include <stdio.h>
#include <string.h>

static bool refuse(struct http_client *client, int status, const char *sentence)
{
    response_refuse(&client->response, status, sentence);
    return false;
}

static bool refuse_handshake(struct http_client *client, int status)
{
    if (status == 405)
        return refuse(client, status, "A WebSocket begins with GET.");
    if (status == 426)
        return refuse(client, status,
                      "This is a WebSocket: version 13 of the protocol is spoken here.");
    return refuse(client, status, "This WebSocket handshake is malformed.");
}

static void write_answer(const struct http_request *request, struct text *out)
{
    char accept[HANDSHAKE_ACCEPT_BYTES];
    handshake_accept(http_request_header(request, "Sec-WebSocket-Key"), accept);
    text_add_string(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    text_add_string(out, accept);
    text_add_string(out, "\r\n\r\n");
}

static struct connection *open_connection(struct http *http, const struct http_upgrade *upgrade,
                                          int fd, const struct address *address)
{
    if (upgrade->room == NULL)
        return echo_open(http->options.connections, fd);
    const struct session_visitor visitor = {fd, *address, upgrade->room};
    return session_open(http->options.sessions, &visitor);
}

static bool refuse_address(struct http_client *client, const struct address *address)
{
    client_address_note_refused(client->http->options.addresses, address);
    return refuse(client, 429, "There are too many connections from your address.");
}

static bool is_full(const struct http *http)
{
    uint64_t most = http->options.max_connections;
    return most > 0 && connections_count(http->options.connections) >= most;
}

bool http_upgrade(struct http_client *client, const struct http_upgrade *upgrade)
{
    struct http *http = client->http;
    const struct config *config = http->options.config;
    int status = handshake_judge(upgrade->request);
    if (status != 101)
        return refuse_handshake(client, status);
    if (!handshake_origin_allowed(upgrade->request, config->origin.items, config->origin.count))
        return refuse(client, 403, "Pages from this origin may not connect here.");
    /* who connected before listening stopped is let in, and told to move */
    if (http->draining && client->answered)
        return refuse(client, 503, "This gateway is going away; please connect again.");
    if (is_full(http)) {
        refusals_note(http->options.refusals, REFUSAL_MAX_CONNECTIONS, NULL);
        return refuse(client, 503, "There are too many connections; please try again later.");
    }
    struct address address =
        client_address_find(http->options.addresses, &client->peer, upgrade->request).address;
    if (upgrade->room != NULL && !quota_take(http->options.quota, &address))
        return refuse_address(client, &address);

    struct text answer = TEXT_EMPTY;
    write_answer(upgrade->request, &answer);
    http->options.metrics->handshakes++;
    int fd = http_release(client);
    struct connection *connection = open_connection(http, upgrade, fd, &address);
    connection_send_raw(connection, answer.data, answer.len);
    text_done(&answer);
    connection_feed(connection, (const uint8_t *)upgrade->early, upgrade->early_len);
    return true;
}
