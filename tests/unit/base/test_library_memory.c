/* Where memory runs out, jansson, libevent and OpenSSL do not go on with half of something: the
 * process ends, as for the program's own memory. */
#include "unit.h"

#include "base/digest.h"
#include "base/library_memory.h"
#include "failing_malloc.h"
#include "protocol/message.h"
#include "protocol/room_event.h"

#include <event2/buffer.h>
#include <event2/event.h>

#define LONG_TEXT "a text for which the buffer of a string has to grow more than once"

static void parse_message(void)
{
    static const char said[] = "{\"type\":\"say\",\"text\":\"caf\\u00e9 " LONG_TEXT "\","
                               "\"nonce\":\"n1\",\"epoch\":\"e\",\"x\":[1,2.5,{\"y\":null}]}";
    struct message_in message;
    const char *why;
    assert_int_equal(message_parse((const uint8_t *)said, sizeof said - 1, &message, &why), 0);
    assert_string_equal(message.text, "caf\xc3\xa9 " LONG_TEXT);
    assert_string_equal(message.nonce, "n1");
    message_in_done(&message);
}

static void find_nonce(void)
{
    static const char broken[] = "{\"type\":\"say\",\"nonce\":\"n1\",\"text\":";
    char nonce[MESSAGE_NONCE_BYTES];
    assert_true(message_find_nonce((const uint8_t *)broken, sizeof broken - 1, nonce));
    assert_string_equal(nonce, "n1");
}

/* Of another form than our scripts write. */
static void parse_presence(void)
{
    static const char came[] =
        " {\"type\":\"presence\",\"seq\":7,\"count\":1,\"left\":[],\"joined\":"
        "[{\"id\":\"i1\",\"name\":\"" LONG_TEXT "\",\"address\":\"a\"}]}";
    struct room_event event;
    assert_int_equal(room_event_parse(came, sizeof came - 1, 2000, &event), 0);
    assert_int_equal(event.joined_count, 1);
    assert_string_equal(event.joined[0].id, "i1");
    assert_string_equal(event.joined[0].json,
                        "{\"id\":\"i1\",\"name\":\"" LONG_TEXT "\",\"address\":\"a\"}");
    room_event_done(&event);
}

static void parse_line(void)
{
    struct room_event event;
    assert_int_equal(room_event_parse(LONG_TEXT, sizeof LONG_TEXT - 1, 2000, &event), 0);
    assert_string_equal(event.text, LONG_TEXT);
    room_event_done(&event);
}

static void on_event(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg;
}

static void make_events(void)
{
    static const struct timeval second = {1, 0};
    struct event_base *base = event_base_new();
    struct event *timer = evtimer_new(base, on_event, NULL);
    struct evbuffer *buffer = evbuffer_new();
    assert_int_equal(evtimer_add(timer, &second), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(evbuffer_add(buffer, LONG_TEXT, sizeof LONG_TEXT - 1), 0);
    assert_int_equal(evbuffer_get_length(buffer), 1000 * (sizeof LONG_TEXT - 1));
    evbuffer_free(buffer);
    event_free(timer);
    event_base_free(base);
}

/* RFC 4231 has no key of 32 bytes: what matters is that both are made. */
static void make_digests(void)
{
    static const uint8_t key[DIGEST_SHA256_BYTES] = {1};
    uint8_t mark[DIGEST_SHA256_BYTES] = {0}, hash[DIGEST_SHA256_BYTES];
    digest_hmac(key, "text", 4, mark);
    digest_sha256("abc", 3, hash); /* FIPS 180-4 */
    assert_memory_equal(hash, "\xba\x78\x16\xbf", 4);
    assert_memory_not_equal(mark, (const uint8_t[sizeof mark]){0}, sizeof mark);
}

static void expect_no_failure(void (*run)(void))
{
    failing_malloc_begin(1, FAILING_ONCE);
    run();
    assert_false(failing_malloc_end());
}

static void test_no_allocation_of_jansson_can_fail(void **state)
{
    (void)state;
    expect_no_failure(parse_message);
    expect_no_failure(find_nonce);
    expect_no_failure(parse_presence);
    expect_no_failure(parse_line);
}

static void test_no_allocation_of_libevent_can_fail(void **state)
{
    (void)state;
    expect_no_failure(make_events);
}

/* What the C library needs for OpenSSL, such as for its configuration, may fail. */
static void test_digests_are_right_whatever_fails(void **state)
{
    bool failed = true;
    (void)state;
    for (unsigned n = 1; failed; n++) {
        failing_malloc_begin(n, FAILING_ONCE);
        make_digests();
        failed = failing_malloc_end();
    }
}

static int take_over(void **state)
{
    (void)state;
    library_memory_take_over(event_set_mem_functions);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation_of_jansson_can_fail),
        cmocka_unit_test(test_no_allocation_of_libevent_can_fail),
        cmocka_unit_test(test_digests_are_right_whatever_fails),
    };
    return cmocka_run_group_tests(tests, take_over, NULL);
}
