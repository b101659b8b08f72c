/* What a server asks of whoever answers: the test is called back, and has the clock. No page, no
 * session and no Redis is there. */
#include "unit.h"

#include "base/clock.h"
#include "http/client.h"
#include "http/client_address.h"
#include "http/server.h"
#include "websocket/connections.h"
#include "websocket/poller.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_WATCHED = 16, SOCKETS = 2, QUIET_ROUNDS = 3 };

static struct config config;
static struct metrics metrics;
static struct client_addresses *addresses;
static struct http_server *server;
static int64_t now_ms;

/* What on_request was last asked, and what it does. */
static struct {
    int count;
    char path[64], early[64];
    struct address peer;
    bool is_head, must_move;
    bool take; /* the socket */
    int taken;
} asked;

/* --- What the server calls --- */

static struct {
    int fd;
    struct watch *watch;
    unsigned wanted;
} watched[MAX_WATCHED];

int poller_watch(struct poller *poller, int fd, struct watch *watch, unsigned before,
                 unsigned wanted)
{
    (void)poller;
    (void)before;
    watched[fd % MAX_WATCHED].fd = fd;
    watched[fd % MAX_WATCHED].watch = watch;
    watched[fd % MAX_WATCHED].wanted = wanted;
    return 0;
}

size_t connections_count(const struct connections *all)
{
    (void)all;
    return 0;
}

int64_t clock_monotonic_ms(void)
{
    return now_ms;
}

/* Each look at it takes longer than deadlines may. */
int64_t clock_monotonic_us(void)
{
    static int64_t now_us;
    return now_us += 2000;
}

static bool on_request(void *arg, const struct http_call *call)
{
    assert_ptr_equal(arg, &asked);
    asked.count++;
    snprintf(asked.path, sizeof asked.path, "%s", call->request->path);
    snprintf(asked.early, sizeof asked.early, "%.*s", (int)call->early_len, call->early);
    asked.peer = *call->peer;
    asked.is_head = call->response->is_head;
    asked.must_move = call->must_move;
    if (asked.take)
        asked.taken = http_client_take_socket(call->client);
    else
        response_say(call->response, 200, asked.path);
    return asked.take;
}

static void format_address(void *arg, const struct address *address, char out[ADDRESS_TEXT_BYTES])
{
    (void)arg;
    (void)address;
    out[0] = '\0';
}

/* --- The stage --- */

static int open_server(void **state)
{
    const struct client_addresses_options client_addresses = {.config = &config,
                                                              .format = format_address};
    (void)state;
    config = (struct config){.max_head = 512, .keep_alive = 75, .max_connections_per_address = 2};
    memset(&asked, 0, sizeof asked);
    memset(watched, 0, sizeof watched);
    now_ms = 1000000;
    addresses = client_addresses_new(&client_addresses);
    const struct http_server_options options = {
        .config = &config,
        .addresses = addresses,
        .metrics = &metrics,
        .max_sockets = SOCKETS,
        .on_request = on_request,
        .arg = &asked,
    };
    server = http_server_new(&options);
    return 0;
}

static int close_server(void **state)
{
    (void)state;
    http_server_free(server);
    client_addresses_free(addresses);
    return 0;
}

static struct address address_from(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(text, strlen(text), &address), 0);
    return address;
}

/* Somebody connects; the visitor's end. */
static int visit(const char *from)
{
    int pair[2];
    const struct address address = address_from(from);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    http_server_accept(server, pair[0], &address, false);
    return pair[1];
}

/* Serves whoever is ready for what it waits for. Was there somebody? */
static bool serve(void)
{
    bool any = false;
    for (size_t i = 0; i < MAX_WATCHED; i++) {
        short events = (watched[i].wanted & POLLER_READ) != 0 ? POLLIN : 0;
        events |= (watched[i].wanted & POLLER_WRITE) != 0 ? POLLOUT : 0;
        struct pollfd ready = {watched[i].fd, events, 0};
        if (events == 0 || poll(&ready, 1, 0) <= 0)
            continue;
        any = true;
        watched[i].watch->on_ready(watched[i].watch, watched[i].wanted);
    }
    return any;
}

/* Sends, and returns the body of the answer, without its end of the line; NULL when the connection
 * ended without one. */
static const char *ask(int visitor, const char *request)
{
    static char bytes[2048];
    assert_int_equal(send(visitor, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    for (int i = 0; i < QUIET_ROUNDS && serve(); i++)
        ;
    ssize_t got = read(visitor, bytes, sizeof bytes - 1);
    if (got <= 0)
        return NULL;
    bytes[got] = '\0';
    char *body = strstr(bytes, "\r\n\r\n") + 4;
    body[strcspn(body, "\n")] = '\0';
    return body;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* --- Tests --- */

static void test_on_request_gets_what_was_asked_and_by_whom(void **state)
{
    (void)state;
    const struct address peer = address_from("203.0.113.1");
    int visitor = visit("203.0.113.1");
    assert_string_equal(ask(visitor, GET("/any/path")), "/any/path");
    assert_int_equal(asked.count, 1);
    assert_memory_equal(&asked.peer, &peer, sizeof peer);
    assert_string_equal(asked.early, "");
    assert_false(asked.is_head);
    assert_string_equal(ask(visitor, "HEAD /other HTTP/1.1\r\nHost: x\r\n\r\n"), "");
    assert_string_equal(asked.path, "/other");
    assert_true(asked.is_head);
    close(visitor);
}

static void test_what_is_malformed_is_answered_without_asking_anybody(void **state)
{
    (void)state;
    int visitor = visit("203.0.113.1");
    assert_string_equal(ask(visitor, "GET /\r\n\r\n"), "This request is malformed.");
    assert_int_equal(asked.count, 0);
    close(visitor);
}

static void test_a_taken_socket_belongs_to_who_took_it(void **state)
{
    char byte;
    (void)state;
    int visitor = visit("203.0.113.1");
    asked.take = true;
    assert_null(ask(visitor, GET("/room") "early"));
    assert_string_equal(asked.early, "early");
    assert_int_equal(http_server_count_clients(server), 0);
    assert_int_equal(watched[asked.taken % MAX_WATCHED].wanted, 0);
    http_server_free(server);
    server = NULL;
    assert_int_equal(write(asked.taken, "x", 1), 1);
    assert_int_equal(read(visitor, &byte, 1), 1);
    close(asked.taken);
    close(visitor);
}

static void test_a_taken_socket_counts_no_more_for_its_address(void **state)
{
    (void)state;
    asked.take = true;
    for (int i = 0; i < SOCKETS + 1; i++) {
        int visitor = visit("203.0.113.1");
        assert_null(ask(visitor, GET("/room")));
        close(asked.taken);
        close(visitor);
    }
    assert_int_equal(asked.count, SOCKETS + 1);
}

static void test_only_who_was_answered_has_to_move_when_the_server_drains(void **state)
{
    (void)state;
    int old = visit("203.0.113.1");
    int new = visit("203.0.113.2");
    assert_non_null(ask(old, GET("/")));
    assert_false(asked.must_move);
    http_server_drain(server);
    assert_non_null(ask(new, GET("/")));
    assert_false(asked.must_move);
    assert_non_null(ask(old, GET("/")));
    assert_true(asked.must_move);
    close(old);
    close(new);
}

static void test_an_idle_client_makes_room_for_a_newcomer_and_one_that_asks_does_not(void **state)
{
    char byte;
    (void)state;
    int idle = visit("203.0.113.1");
    int asking = visit("203.0.113.2");
    assert_non_null(ask(idle, GET("/")));
    int third = visit("203.0.113.3");
    assert_int_equal(read(idle, &byte, 1), 0);
    assert_string_equal(ask(third, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "/");
    assert_string_equal(ask(asking, GET("/")), "/");
    close(idle);
    close(asking);
    close(third);
}

static void test_deadlines_that_pass_together_are_enforced_in_several_iterations(void **state)
{
    (void)state;
    int visitors[] = {visit("203.0.113.1"), visit("203.0.113.2")};
    now_ms += 11000;
    http_server_tick(server);
    assert_int_equal(http_server_count_clients(server), 1);
    assert_true(http_server_is_behind(server));
    http_server_enforce(server);
    assert_int_equal(http_server_count_clients(server), 0);
    assert_false(http_server_is_behind(server));
    for (size_t i = 0; i < 2; i++)
        close(visitors[i]);
}

static void test_an_overdue_client_that_was_not_dropped_yet_is_closed_with_the_server(void **state)
{
    char byte;
    (void)state;
    int visitors[] = {visit("203.0.113.1"), visit("203.0.113.2")};
    now_ms += 11000;
    http_server_tick(server);
    assert_int_equal(http_server_count_clients(server), 1);
    http_server_free(server);
    server = NULL;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(read(visitors[i], &byte, 1), 0);
        close(visitors[i]);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_server, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_on_request_gets_what_was_asked_and_by_whom),
        TEST(test_what_is_malformed_is_answered_without_asking_anybody),
        TEST(test_a_taken_socket_belongs_to_who_took_it),
        TEST(test_a_taken_socket_counts_no_more_for_its_address),
        TEST(test_only_who_was_answered_has_to_move_when_the_server_drains),
        TEST(test_deadlines_that_pass_together_are_enforced_in_several_iterations),
        TEST(test_an_overdue_client_that_was_not_dropped_yet_is_closed_with_the_server),
        TEST(test_an_idle_client_makes_room_for_a_newcomer_and_one_that_asks_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
