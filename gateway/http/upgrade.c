#include "http/upgrade.h"

#include "base/clock.h"
#include "config/address_rates.h"
#include "config/quota.h"
#include "http/client_address.h"
#include "protocol/extension.h"
#include "protocol/handshake.h"
#include "session/sessions.h"
#include "websocket/connections.h"
#include "websocket/echo.h"
#include "websocket/output.h"

#include <math.h>
#include <stdio.h>

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

static struct connection *open_connection(const struct http_site *site, int fd,
                                          const struct address *address, const char *room)
{
    if (room == NULL)
        return echo_open(site->connections, fd);
    const struct session_visitor visitor = {fd, *address, room,
                                            client_address_is_trusted(site->addresses, address)};
    return session_open(site->sessions, &visitor);
}

static void switch_protocols(const struct http_site *site, const struct http_call *call,
                             const struct address *address, const char *room)
{
    char accept[HANDSHAKE_ACCEPT_BYTES], extension[EXTENSION_ANSWER_BYTES] = "", answer[512];
    handshake_accept(http_request_header(call->request, "Sec-WebSocket-Key"), accept);
    bool deflated = site->config->compression && extension_negotiate(call->request, extension) == 1;
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
                       accept, deflated ? "Sec-WebSocket-Extensions: " : "", extension,
                       deflated ? "\r\n" : "");
    site->metrics->handshakes++;
    int fd = http_client_take_socket(call->client);
    struct connection *connection = open_connection(site, fd, address, room);
    if (deflated)
        connection_set_deflated(connection);
    connection_send_first(connection, (const uint8_t *)answer, (size_t)len);
    connection_feed(connection, (const uint8_t *)call->early, call->early_len);
}

static bool is_full(const struct http_site *site)
{
    uint64_t max = site->max_connections;
    return max > 0 && connections_count(site->connections) >= max;
}

/* If there is none, the answer will say when there is. */
static bool has_handshake_token(const struct http_site *site, const struct http_call *call,
                                const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES];
    if (client_address_is_trusted(site->addresses, address))
        return true;
    double wait_s = address_rates_take(site->address_rates, address, ADDRESS_HANDSHAKES, 1,
                                       clock_monotonic_ms());
    if (wait_s <= 0)
        return true;
    sessions_format_address(site->sessions, address, text);
    refusals_note(site->refusals, REFUSAL_HANDSHAKES_PER_ADDRESS, text);
    call->response->retry_after_s = (unsigned)ceil(wait_s);
    return false;
}

bool upgrade_answer(const struct http_site *site, const struct http_call *call, const char *room)
{
    const struct config_list *origins = &site->config->origin;
    char extension[EXTENSION_ANSWER_BYTES];
    int status = handshake_judge(call->request);
    if (status == 101 && extension_negotiate(call->request, extension) < 0)
        status = 400;
    if (status != 101)
        return refuse_handshake(call, status);
    if (!handshake_origin_allowed(call->request, origins->items, origins->count))
        return refuse_upgrade(call, 403, "Pages from this origin may not connect here.");
    /* whoever connected before listening stopped is upgraded, and told to reconnect elsewhere */
    if (call->must_move)
        return refuse_upgrade(call, 503, "This gateway is going away; please connect again.");
    if (is_full(site)) {
        refusals_note(site->refusals, REFUSAL_MAX_CONNECTIONS, NULL);
        return refuse_upgrade(call, 503, "There are too many connections; please try again later.");
    }
    /* slow readers are being closed: who comes adds to what waits */
    if (connections_are_congested(site->connections)) {
        refusals_note(site->refusals, REFUSAL_MAX_UNSENT, NULL);
        return refuse_upgrade(call, 503, "This gateway is too busy; please try again later.");
    }
    struct address address =
        client_address_find(site->addresses, call->peer, call->peer_is_hidden, call->request)
            .address;
    if (room != NULL && sessions_are_banned(site->sessions, &address))
        return refuse_upgrade(call, 403, "Your address is banned here.");
    if (room != NULL && !has_handshake_token(site, call, &address))
        return refuse_upgrade(call, 429, "Too many connections come from your address.");
    if (room != NULL && !quota_take(site->quota, &address)) {
        client_address_note_refused(site->addresses, &address);
        return refuse_upgrade(call, 429, "There are too many connections from your address.");
    }
    switch_protocols(site, call, &address, room);
    return true;
}
