#include "http_stage.h"

#include "skipping_clock.h"
#include "unit.h"

#include "broker/broker.h"
#include "fake_redis.h"
#include "http/client.h"
#include "http/client_address.h"
#include "http/ops.h"
#include "http/pages.h"
#include "http/router.h"
#include "http/server.h"
#include "room/batch_send.h"
#include "room/fanout.h"
#include "session/sessions.h"
#include "websocket/connections.h"
#include "websocket/poller.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_VISITORS = 512,
    MAX_SETTINGS = 32,
    ENOUGH_SOCKETS = 100000,
    QUIET_ITERATIONS = 16,      /* when nothing has come for so many, nothing comes by itself */
    DEADLINE_ITERATIONS = 1000, /* of 10 ms */
    NARROW_BYTES = 1,           /* the least that the kernel has */
    ANSWER_BYTES = 1 << 22,
};

static struct stage {
    bool open;
    struct event_base *base;
    struct fake_redis *fake; /* NULL: none */
    struct config config;
    struct metrics metrics;
    struct refusals *refusals;
    struct log *log;
    struct poller *poller;
    struct batch_send *sender;
    struct fanout *fanout;
    struct connections *connections;
    struct quota *quota;
    struct broker *broker;
    struct sessions *sessions;
    struct pages *pages;
    struct client_addresses *addresses;
    struct http_server *http;
    struct http_site site;
    int visitors[MAX_VISITORS];
    int visitor_count;
    char log_path[64];
} stage;

/* In the order of gateway/loop.c. */
static void take_steps(void *arg)
{
    (void)arg;
    fanout_flush(stage.fanout);
    poller_read(stage.poller);
    http_server_enforce(stage.http);
    broker_flush(stage.broker);
    connections_flush(stage.connections);
    broker_flush(stage.broker);
}

static void iterate(void)
{
    event_base_loop(stage.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    take_steps(NULL);
}

void stage_run_until(bool (*holds)(void))
{
    static const struct timeval most = {0, 10000};
    for (int iterations = 0; !holds(); iterations++) {
        assert_true(iterations < DEADLINE_ITERATIONS);
        event_base_loopexit(stage.base, &most);
        event_base_loop(stage.base, EVLOOP_ONCE);
        take_steps(NULL);
    }
}

void stage_pass(unsigned seconds)
{
    for (; seconds > 0; seconds--) {
        clock_skip_ms(1000);
        http_server_tick(stage.http);
        broker_tick(stage.broker);
        iterate();
        if (stage.fake != NULL)
            fake_redis_settle(stage.fake);
    }
}

/* --- The gateway --- */

static void on_up(void *arg)
{
    (void)arg;
    sessions_on_up(stage.sessions);
}

static void on_control_message(void *arg, const char *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static void on_admitting(void *arg)
{
    (void)arg;
}

static void on_room_opened(void *arg, const char *name, bool open)
{
    (void)arg;
    (void)name;
    (void)open;
}

static void load_config(char *const *settings)
{
    const char *const always[] = {
        "yukizuri",
        "--addr",
        "127.0.0.1:8080",
        "--redis",
        stage.fake == NULL ? "unix:/nonexistent/redis.sock" : fake_redis_url(stage.fake),
        "--send",
        "writev",
        "--echo-path",
        "/echo",
        "--gateway-id",
        "stage",
        "--log-file",
        stage.log_path,
    };
    static char *const environment[] = {NULL};
    char *arguments[MAX_SETTINGS] = {NULL};
    int count = 0;
    for (; count < (int)(sizeof always / sizeof *always); count++)
        arguments[count] = (char *)(uintptr_t)always[count];
    for (; *settings != NULL; settings++) {
        assert_true(count < MAX_SETTINGS - 1);
        arguments[count++] = *settings;
    }
    struct config_result result = config_load(&stage.config, count, arguments, environment);
    assert_string_equal(result.error, "");
}

static void open_log(void)
{
    snprintf(stage.log_path, sizeof stage.log_path, "/tmp/yukizuri-unit-XXXXXX");
    int fd = mkstemp(stage.log_path);
    assert_true(fd >= 0);
    close(fd);
    stage.log = log_open(stage.log_path, true, "stage");
    assert_non_null(stage.log);
}

static void make_broker(void)
{
    static const struct broker_callbacks callbacks = {on_up, on_control_message};
    const struct broker_options options = {stage.base, &stage.config, &stage.config.redis_url,
                                           &stage.metrics, stage.log};
    char error[256] = "";
    script_hash_all();
    stage.broker = broker_new(&options, &callbacks, NULL, error, sizeof error);
    assert_string_equal(error, "");
}

static void make_sessions(void)
{
    const struct connections_options connections = {stage.base,
                                                    stage.poller,
                                                    &stage.metrics,
                                                    stage.refusals,
                                                    (unsigned)stage.config.ping,
                                                    stage.config.max_message,
                                                    stage.config.max_fragments,
                                                    stage.config.max_unsent};
    stage.connections = connections_new(&connections);
    if (stage.config.compression)
        connections_enable_compression(stage.connections);
    stage.quota = quota_new(stage.config.max_connections_per_address);
    const struct sessions_options sessions = {
        .base = stage.base,
        .config = &stage.config,
        .queue = fanout_queue(stage.fanout),
        .broker = stage.broker,
        .connections = stage.connections,
        .quota = stage.quota,
        .metrics = &stage.metrics,
        .refusals = stage.refusals,
        .log = stage.log,
        .on_admitting = on_admitting,
        .on_room_opened = on_room_opened,
    };
    stage.sessions = sessions_new(&sessions);
}

static void format_address(void *arg, const struct address *address, char out[ADDRESS_TEXT_BYTES])
{
    (void)arg;
    sessions_format_address(stage.sessions, address, out);
}

static bool on_request(void *arg, const struct http_call *call)
{
    (void)arg;
    return router_answer(&stage.site, call);
}

static void make_server(unsigned sockets)
{
    const struct client_addresses_options addresses = {
        .config = &stage.config,
        .refusals = stage.refusals,
        .log = stage.log,
        .format = format_address,
    };
    stage.addresses = client_addresses_new(&addresses);
    const struct http_server_options server = {
        .poller = stage.poller,
        .config = &stage.config,
        .addresses = stage.addresses,
        .connections = stage.connections,
        .metrics = &stage.metrics,
        .refusals = stage.refusals,
        .max_sockets = sockets,
        .on_request = on_request,
    };
    stage.http = http_server_new(&server);
}

static void make_site(void)
{
    stage.site = (struct http_site){
        .config = &stage.config,
        .server = stage.http,
        .addresses = stage.addresses,
        .connections = stage.connections,
        .broker = stage.broker,
        .sessions = stage.sessions,
        .pages = stage.pages,
        .quota = stage.quota,
        .metrics = &stage.metrics,
        .refusals = stage.refusals,
        .log = stage.log,
        .max_connections = stage.config.max_connections,
    };
}

static char *const no_settings[] = {NULL};

static void open_stage(unsigned sockets, char *const *settings, bool has_redis)
{
    stage_close();            /* of a test that failed */
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    stage = (struct stage){.open = true, .base = event_base_new()};
    clock_stop();
    stage.fake = has_redis ? fake_redis_new(stage.base) : NULL;
    open_log();
    load_config(settings);
    stage.refusals = refusals_new(&stage.metrics, stage.log);
    stage.poller = poller_new(stage.base, &stage.metrics);
    stage.sender = batch_send_new(false);
    stage.fanout = fanout_new(stage.sender, &stage.metrics, stage.refusals);
    make_broker();
    make_sessions();
    stage.pages = pages_new(&stage.config);
    make_server(sockets);
    make_site();
}

void stage_open(void)
{
    open_stage(ENOUGH_SOCKETS, no_settings, false);
}

void stage_open_with_sockets(unsigned sockets)
{
    open_stage(sockets, no_settings, false);
}

void stage_open_with(const char *setting, ...)
{
    char *settings[MAX_SETTINGS] = {NULL};
    va_list more;
    va_start(more, setting);
    for (size_t count = 0; setting != NULL; setting = va_arg(more, const char *)) {
        assert_true(count < MAX_SETTINGS - 1);
        settings[count++] = (char *)(uintptr_t)setting;
    }
    va_end(more);
    open_stage(ENOUGH_SOCKETS, settings, false);
}

static bool is_up(void *arg)
{
    (void)arg;
    return broker_is_up(stage.broker);
}

struct fake_redis *stage_open_with_redis(void)
{
    open_stage(ENOUGH_SOCKETS, no_settings, true);
    fake_redis_follow(stage.fake, take_steps, NULL);
    fake_redis_run_until(stage.fake, is_up, NULL);
    return stage.fake;
}

void stage_admit(void)
{
    sessions_admit(stage.sessions);
}

struct metrics *stage_metrics(void)
{
    return &stage.metrics;
}

/* All but the log's file. */
static void close_parts(void)
{
    stage.open = false; /* the loop runs no more */
    http_server_free(stage.http);
    pages_free(stage.pages);
    client_addresses_free(stage.addresses);
    broker_stop(stage.broker);
    connections_free(stage.connections);
    sessions_free(stage.sessions);
    broker_free(stage.broker);
    quota_free(stage.quota);
    fanout_free(stage.fanout);
    batch_send_free(stage.sender);
    poller_free(stage.poller);
    refusals_free(stage.refusals);
    fake_redis_free(stage.fake);
    event_base_free(stage.base);
    log_close(stage.log);
    config_done(&stage.config);
    for (int i = 0; i < stage.visitor_count; i++)
        stage_leave(stage.visitors[i]);
}

void stage_close(void)
{
    if (!stage.open)
        return;
    close_parts();
    unlink(stage.log_path);
}

int stage_setup(void **state)
{
    (void)state;
    stage_open();
    return 0;
}

int stage_teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

const char *stage_close_for_log(void)
{
    static char text[65536];
    close_parts();
    FILE *file = fopen(stage.log_path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    unlink(stage.log_path);
    return text;
}

void stage_announce_drain(void)
{
    stage.site.draining = true;
}

void stage_drain(void)
{
    stage.site.draining = true;
    http_server_drain(stage.http);
}

/* --- Visitors --- */

static struct address read_address(const char *text)
{
    struct address address = {.local_socket = true};
    if (strcmp(text, "local") != 0) {
        address.local_socket = false;
        assert_int_equal(address_parse(text, strlen(text), &address), 0);
    }
    return address;
}

static int connect_visitor(const char *from, bool narrow, bool proxied)
{
    static const int bytes = NARROW_BYTES;
    const struct address address = read_address(from);
    int pair[2];
    assert_true(stage.visitor_count < MAX_VISITORS);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    if (narrow)
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    stage.visitors[stage.visitor_count++] = pair[1];
    http_server_accept(stage.http, pair[0], &address, proxied);
    return pair[1];
}

int stage_visit(const char *address)
{
    return connect_visitor(address, false, false);
}

int stage_visit_narrow(const char *address)
{
    return connect_visitor(address, true, false);
}

int stage_visit_proxied(const char *address)
{
    return connect_visitor(address, false, true);
}

bool stage_send_bytes(int visitor, const void *data, size_t len)
{
    ssize_t sent = send(visitor, data, len, MSG_NOSIGNAL);
    assert_true(sent < 0 || (size_t)sent == len);
    iterate();
    return sent >= 0;
}

bool stage_send(int visitor, const char *text)
{
    return stage_send_bytes(visitor, text, strlen(text));
}

/* Adds what is there to be read. Has anything changed? */
static bool read_some(int visitor, char *buffer, struct stage_bytes *out)
{
    ssize_t got = recv(visitor, buffer + out->len, ANSWER_BYTES - 1 - out->len, 0);
    if (got > 0) {
        out->len += (size_t)got;
        assert_true(out->len < ANSWER_BYTES - 1);
        return true;
    }
    out->ended = got == 0;
    out->reset = got < 0 && errno != EAGAIN;
    return false;
}

struct stage_bytes stage_receive(int visitor)
{
    static char buffer[ANSWER_BYTES];
    struct stage_bytes out = {.data = buffer};
    for (int quiet = 0; quiet < QUIET_ITERATIONS && !out.ended && !out.reset; quiet++) {
        while (read_some(visitor, buffer, &out))
            quiet = 0;
        iterate();
    }
    buffer[out.len] = '\0';
    return out;
}

const char *stage_receive_text(int visitor)
{
    return stage_receive(visitor).data;
}

bool stage_is_ended(int visitor)
{
    struct stage_bytes rest = stage_receive(visitor);
    return rest.ended || rest.reset;
}

void stage_leave(int visitor)
{
    for (int i = 0; i < stage.visitor_count; i++) {
        if (stage.visitors[i] != visitor)
            continue;
        stage.visitors[i] = stage.visitors[--stage.visitor_count];
        close(visitor);
        break;
    }
    for (int i = 0; stage.open && i < QUIET_ITERATIONS; i++)
        iterate();
}

struct stage_bytes stage_ask(const char *address, const char *request)
{
    int visitor = stage_visit(address);
    stage_send(visitor, request);
    struct stage_bytes answer = stage_receive(visitor);
    stage_leave(visitor);
    return answer;
}

struct stage_bytes stage_get(const char *target, const char *headers)
{
    char request[4096];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, headers);
    return stage_ask("203.0.113.1", request);
}
