#include "history/event_queue.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static void add(struct event_queue *queue, uint64_t seq, enum room_event_type type)
{
    char json[32];
    int len = snprintf(json, sizeof json, "{\"seq\":%d}", (int)seq);
    const struct room_event event = {.type = type, .seq = seq, .json = json, .len = (size_t)len};
    event_queue_add(queue, &event);
}

static void test_add_keeps_order_and_bytes(void **state)
{
    (void)state;
    struct event_queue queue = {0};
    for (uint64_t seq = 1; seq <= 100; seq++)
        add(&queue, seq, seq % 2 == 0 ? EVENT_MESSAGE : EVENT_PRESENCE);
    assert_int_equal(queue.count, 100);
    assert_int_equal(queue.items[41].seq, 42);
    assert_true(queue.items[41].message);
    assert_false(queue.items[42].message);
    assert_memory_equal(queue.items[41].json, "{\"seq\":42}", queue.items[41].len);
    event_queue_clear(&queue);
    assert_int_equal(queue.count, 0);
    assert_null(queue.items);
}

static void test_add_says_when_it_is_full(void **state)
{
    (void)state;
    struct event_queue queue = {0};
    for (uint64_t seq = 1; seq <= EVENT_QUEUE_MOST; seq++)
        add(&queue, seq, EVENT_MESSAGE);
    assert_false(queue.overflowed);
    add(&queue, EVENT_QUEUE_MOST + 1, EVENT_MESSAGE);
    assert_true(queue.overflowed);
    assert_int_equal(queue.count, EVENT_QUEUE_MOST);
    event_queue_clear(&queue);
    assert_false(queue.overflowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_keeps_order_and_bytes),
        cmocka_unit_test(test_add_says_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
