/* The very source, to stop at a moment of its own choice. */
#include "unit.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>

/* The loop ends with the call that begins to connect, as at a signal that comes just then. */
static int connect_and_end_loop(struct bufferevent *stream, const struct sockaddr *address, int len)
{
    int result = bufferevent_socket_connect(stream, address, len);
    event_base_loopbreak(bufferevent_get_base(stream));
    return result;
}

#define bufferevent_socket_connect connect_and_end_loop
#include "redis/connection.c"

#include <stddef.h>
#include <unistd.h>

static void on_nothing(void *arg)
{
    (void)arg;
}

static void on_lost(void *arg, const char *why)
{
    (void)arg;
    (void)why;
}

static void stop_while_connecting(const char *text, bool secure)
{
    struct redis_url url;
    struct metrics metrics = {0};
    unsigned index = 0;
    struct event_base *base = event_base_new();
    assert_null(redis_url_parse(text, &url));
    snprintf(url.host, sizeof url.host, "localhost"); /* whom the certificate names */
    char error[256];
    struct redis_tls *tls = secure ? redis_tls_new("localhost", error, sizeof error) : NULL;
    const struct redis_options options = {.base = base,
                                          .tls = tls,
                                          .url = &url,
                                          .client_name = "test",
                                          .metrics = &metrics,
                                          .address_index = &index};
    const struct redis_callbacks callbacks = {.on_ready = on_nothing, .on_lost = on_lost};
    struct redis_connection *redis = redis_connection_new(&options, &callbacks, NULL);
    event_base_dispatch(base);
    redis_connection_free(redis);
    redis_tls_free(tls);
    event_base_free(base); /* LeakSanitizer says what is left */
}

static void test_nothing_is_left_of_a_connection_that_was_refused_at_once(void **state)
{
    (void)state;
    stop_while_connecting("redis://127.0.0.1:1", true);
    stop_while_connecting("redis://127.0.0.1:1", false);
}

static void test_nothing_is_left_of_a_connection_that_was_made_at_once(void **state)
{
    (void)state;
    char directory[] = "/tmp/yukizuri-unit-XXXXXX";
    char text[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/redis.sock", directory);
    snprintf(text, sizeof text, "unix:%s/redis.sock", directory);
    int listening = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 1), 0);
    stop_while_connecting(text, true);
    stop_while_connecting(text, false);
    close(listening);
    unlink(address.sun_path);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left_of_a_connection_that_was_refused_at_once),
        cmocka_unit_test(test_nothing_is_left_of_a_connection_that_was_made_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
