#include "server_parts.h"

#include "base/file_limit.h"
#include "base/memory.h"
#include "base/stderr_line.h"
#include "config/address_rates.h"
#include "server_internal.h"
#include "websocket/connections.h"

#include <stdio.h>

/* --- Accepting --- */

static void on_accept(void *arg, int fd, const struct address *address, bool proxied)
{
    struct server *server = arg;
    metrics_begin_iteration(&server->metrics);
    http_server_accept(server->http, fd, address, proxied);
}

static bool is_busy(void *arg)
{
    const struct server *server = arg;
    return poller_is_behind(server->poller) || poller_is_behind(server->http_poller) ||
           connections_have_more(server->connections);
}

static void on_full(void *arg, enum refusal reason)
{
    const struct server *server = arg;
    refusals_note(server->refusals, reason, NULL);
}

/* Two gateways with a private Redis each would be two chats on one port. */
static int open_listener(struct server *server, char *error, size_t error_size)
{
    const struct listener_options options = {
        .base = server->base,
        .config = server->config,
        .given = service_sockets(server->service),
        .shared = server->config->redis_url.scheme != REDIS_EMBEDDED,
        .on_accept = on_accept,
        .is_busy = is_busy,
        .on_full = on_full,
        .arg = server,
    };
    server->listener = listener_open(&options, error, error_size);
    return server->listener == NULL ? -1 : 0;
}

/* --- What the parts say --- */

static void on_broker_up(void *arg)
{
    struct server *server = arg;
    sessions_on_up(server->sessions);
    membership_up(server->membership);
}

static void on_control_message(void *arg, const char *data, size_t len)
{
    struct server *server = arg;
    sessions_on_control_message(server->sessions, data, len);
}

static void on_admitting(void *arg)
{
    struct server *server = arg;
    listener_enable(server->listener);
}

static void on_room_opened(void *arg, const char *name, bool open)
{
    struct server *server = arg;
    if (server->membership != NULL) /* at the end it goes first */
        membership_note_room(server->membership, name, open);
}

static void refuse_to_run(struct server *server, const char *why)
{
    stderr_line_print("%s", why);
    server->status = SERVER_ID_TAKEN;
    drain_finish(server, "the gateway-id is another living gateway's");
}

static void yield_gateway_id(struct server *server)
{
    server->status = 1;
    drain_begin(server, false, "another process has taken the gateway-id over");
}

static void on_lease_news(void *arg, enum lease_news news, const char *why)
{
    struct server *server = arg;
    switch (news) {
    case LEASE_TAKEN:
        sessions_admit(server->sessions);
        break;
    case LEASE_LAPSED:
        sessions_on_lapsed(server->sessions);
        break;
    case LEASE_REFUSED:
        refuse_to_run(server, why);
        break;
    case LEASE_SUPERSEDED:
        yield_gateway_id(server);
        break;
    case LEASE_AWAITED: /* the kernel shall give people to other workers: we would refuse them */
        listener_disable(server->listener);
        break;
    case LEASE_NOT_AWAITED:
        listener_enable_later(server->listener);
        break;
    case LEASE_SHARED:
    case LEASE_NOT_SHARED:
        sessions_set_id_shared(server->sessions, news == LEASE_SHARED);
        break;
    case LEASE_FAILED:
    case LEASE_GONE:
        break;
    }
}

/* --- Making --- */

/* The file limit, less the descriptors that are not for clients. */
static uint64_t find_max_sockets(void)
{
    uint64_t files = file_limit_raise();
    return files > FILE_LIMIT_RESERVED ? files - FILE_LIMIT_RESERVED : 1;
}

/* Connections of members: the setting, as far as the file limit allows. */
static uint64_t find_max_connections(const struct config *config)
{
    uint64_t sockets = find_max_sockets();
    uint64_t wanted = config->max_connections;
    return wanted == 0 || wanted > sockets ? sockets : wanted;
}

static int find_redis(struct server *server, char *error, size_t error_size)
{
    server->redis_url = server->config->redis_url;
    if (server->redis_url.scheme != REDIS_EMBEDDED)
        return 0;
    const struct embedded_redis_options options = {.confined = server->config->sandbox};
    server->embedded = embedded_redis_start(&server->redis_url, &options, error, error_size);
    return server->embedded == NULL ? -1 : 0;
}

static int make_sender(struct server *server, char *error, size_t error_size)
{
    unsigned wanted = server->config->send;
    if (wanted != CONFIG_SEND_WRITEV)
        server->sender = batch_send_new(true);
    if (server->sender == NULL && wanted != CONFIG_SEND_URING)
        server->sender = batch_send_new(false);
    if (server->sender != NULL)
        return 0;
    snprintf(error, error_size, "send: this kernel has no io_uring, or forbids it; try auto");
    return -1;
}

static int make_broker(struct server *server, char *error, size_t error_size)
{
    const struct broker_options options = {server->base, server->config, &server->redis_url,
                                           &server->metrics, server->log};
    const struct broker_callbacks callbacks = {on_broker_up, on_control_message};
    server->broker = broker_new(&options, &callbacks, server, error, error_size);
    return server->broker == NULL ? -1 : 0;
}

/* The private Redis is started by the user that it runs as; what TLS to another one needs may be
 * root's to read. */
static int make_redis(struct server *server, char *error, size_t error_size)
{
    const struct user *user = &server->config->run_as;
    bool embedded = server->config->redis_url.scheme == REDIS_EMBEDDED;
    if (embedded && user_become(user, error, error_size) != 0)
        return -1;
    if (find_redis(server, error, error_size) != 0 || make_broker(server, error, error_size) != 0)
        return -1;
    return user_become(user, error, error_size);
}

static void make_parts(struct server *server)
{
    const struct config *config = server->config;
    const struct connections_options connections = {
        server->base,           server->poller,      &server->metrics,      server->refusals,
        (unsigned)config->ping, config->max_message, config->max_fragments, config->max_unsent};
    server->connections = connections_new(&connections);
    server->fanout = fanout_new(server->sender, &server->metrics, server->refusals);
    if (config->compression)
        connections_enable_compression(server->connections);
    fanout_queue(server->fanout)->deflater = connections_deflater(server->connections);
    server->quota = quota_new(config->max_connections_per_address);
    server->address_rates = address_rates_new(config);
    const struct sessions_options sessions = {
        .base = server->base,
        .config = config,
        .queue = fanout_queue(server->fanout),
        .broker = server->broker,
        .connections = server->connections,
        .quota = server->quota,
        .address_rates = server->address_rates,
        .metrics = &server->metrics,
        .refusals = server->refusals,
        .log = server->log,
        .on_admitting = on_admitting,
        .on_room_opened = on_room_opened,
        .arg = server,
    };
    server->sessions = sessions_new(&sessions);
    const struct membership_options membership = {
        .base = server->base,
        .broker = server->broker,
        .rooms = sessions_rooms(server->sessions),
        .metrics = &server->metrics,
        .log = server->log,
        .on_news = on_lease_news,
        .arg = server,
    };
    server->membership = membership_new(&membership);
}

static void format_address(void *arg, const struct address *address, char out[ADDRESS_TEXT_BYTES])
{
    const struct server *server = arg;
    sessions_format_address(server->sessions, address, out);
}

static bool on_request(void *arg, const struct http_call *call)
{
    const struct server *server = arg;
    return router_answer(&server->site, call);
}

static void make_http_server(struct server *server)
{
    const struct client_addresses_options addresses = {
        .config = server->config,
        .refusals = server->refusals,
        .log = server->log,
        .format = format_address,
        .arg = server,
    };
    server->addresses = client_addresses_new(&addresses);
    const struct http_server_options http = {
        .poller = server->http_poller,
        .config = server->config,
        .addresses = server->addresses,
        .connections = server->connections,
        .metrics = &server->metrics,
        .refusals = server->refusals,
        .max_sockets = find_max_sockets(),
        .on_request = on_request,
        .arg = server,
    };
    server->http = http_server_new(&http);
}

static void make_site(struct server *server)
{
    server->pages = pages_new(server->config);
    server->site = (struct http_site){
        .config = server->config,
        .pages = server->pages,
        .server = server->http,
        .addresses = server->addresses,
        .connections = server->connections,
        .broker = server->broker,
        .sessions = server->sessions,
        .quota = server->quota,
        .address_rates = server->address_rates,
        .metrics = &server->metrics,
        .refusals = server->refusals,
        .log = server->log,
        .max_connections = find_max_connections(server->config),
    };
}

int server_parts_make(struct server *server, char *error, size_t error_size)
{
    if (make_sender(server, error, error_size) != 0 ||
        open_listener(server, error, error_size) != 0 || make_redis(server, error, error_size) != 0)
        return -1;
    server->poller = poller_new(server->base, &server->metrics);
    server->http_poller = poller_new(server->base, &server->metrics);
    make_parts(server);
    make_http_server(server);
    make_site(server);
    return 0;
}
