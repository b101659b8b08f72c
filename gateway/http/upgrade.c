#include "http/upgrade.h"

#include "config/quota.h"
#include "http/client_address.h"
#include "protocol/handshake.h"
#include "session/sessions.h"
#include "websocket/connections.h"
#include "websocket/echo.h"
#include "websocket/output.h"

static bool refuse_upgrade(const struct http_call *call, int status, const char *sentence)
{
    response_say(call->response, status, sentence);
    return false;
}

static bool refuse_handshake(const struct http_call *call, int status)
{
    if (status == 405)
        return refuse_upgrade(call, status, "A WebSocket begins with GET.");
    if (status == 426)
        return refuse_upgrade(call, status,
                              "This is a WebSocket: version 13 of the protocol is spoken here.");
    return refuse_upgrade(call, status, "This WebSocket handshake is malformed.");
}

static bool refuse_address(const struct http_site *site, const struct http_call *call,
                           const struct address *address)
{
    client_address_note_refused(site->addresses, address);
    return refuse_upgrade(call, 429, "There are too many connections from your address.");
}

static void write_accept(const struct http_request *request, struct text *out)
{
    char accept[HANDSHAKE_ACCEPT_BYTES];
    handshake_accept(http_request_header(request, "Sec-WebSocket-Key"), accept);
    text_add_string(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    text_add_string(out, accept);
    text_add_string(out, "\r\n\r\n");
}

static struct connection *open_connection(const struct http_site *site, int fd,
                                          const struct address *address, const char *room)
{
    if (room == NULL)
        return echo_open(site->connections, fd);
    const struct session_visitor visitor = {fd, *address, room};
    return session_open(site->sessions, &visitor);
}

static void switch_protocols(const struct http_site *site, const struct http_call *call,
                             const struct address *address, const char *room)
{
    struct text answer = TEXT_EMPTY;
    write_accept(call->request, &answer);
    site->metrics->handshakes++;
    int fd = http_client_take_socket(call->client);
    struct connection *connection = open_connection(site, fd, address, room);
    connection_send_raw(connection, answer.data, answer.len);
    text_done(&answer);
    connection_feed(connection, (const uint8_t *)call->early, call->early_len);
}

static bool is_full(const struct http_site *site)
{
    uint64_t most = site->max_connections;
    return most > 0 && connections_count(site->connections) >= most;
}

bool upgrade_answer(const struct http_site *site, const struct http_call *call, const char *room)
{
    const struct config_list *origins = &site->config->origin;
    int status = handshake_judge(call->request);
    if (status != 101)
        return refuse_handshake(call, status);
    if (!handshake_origin_allowed(call->request, origins->items, origins->count))
        return refuse_upgrade(call, 403, "Pages from this origin may not connect here.");
    /* who connected before listening stopped is let in, and told to move */
    if (call->must_move)
        return refuse_upgrade(call, 503, "This gateway is going away; please connect again.");
    if (is_full(site)) {
        refusals_note(site->refusals, REFUSAL_MAX_CONNECTIONS, NULL);
        return refuse_upgrade(call, 503, "There are too many connections; please try again later.");
    }
    struct address address =
        client_address_find(site->addresses, call->peer, call->request).address;
    if (room != NULL && !quota_take(site->quota, &address))
        return refuse_address(site, call, &address);
    switch_protocols(site, call, &address, room);
    return true;
}
