/* The handshake: from HTTP to WebSocket. */
#include "http_internal.h"

#include "echo.h"
#include "handshake.h"

#include <stdio.h>
#include <string.h>

static bool refuse(struct http_client *client, int status, const char *sentence)
{
    http_refuse(client, status, sentence);
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

/* Of an address the line says which: behind a proxy that is not trusted all have one. */
static bool refuse_full(struct http_client *client, enum refusal reason,
                        const struct address *address)
{
    const struct http *http = client->http;
    char text[ADDRESS_TEXT_BYTES];
    sessions_format_address(http->options.sessions, address, text);
    refusals_note(http->options.refusals, reason, text);
    if (reason == REFUSAL_MAX_CONNECTIONS)
        return refuse(client, 503, "There are too many connections; please try again later.");
    return refuse(client, 429, "There are too many connections from your address.");
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
    struct address address = http_find_origin(http, client, upgrade->request).address;
    uint64_t most = http->options.max_connections;
    if (most > 0 && connections_count(http->options.connections) >= most)
        return refuse_full(client, REFUSAL_MAX_CONNECTIONS, &address);
    if (upgrade->room != NULL && !quota_take(http->options.quota, &address))
        return refuse_full(client, REFUSAL_MAX_CONNECTIONS_PER_ADDRESS, &address);

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
