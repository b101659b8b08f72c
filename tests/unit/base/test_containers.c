/* bytes, table, list, quota, rate, text, token, wheel: the small ones. */
#include "unit.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/table.h"
#include "base/text.h"
#include "base/wheel.h"
#include "config/quota.h"
#include "config/rate.h"
#include "protocol/token.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct thing {
    char name[24];
    bool there;
};

static struct table_key name_of(const void *value)
{
    const struct thing *thing = value;
    return (struct table_key){thing->name, strlen(thing->name)};
}

/* Random additions and removals against a plain array of flags. */
static void test_table_agrees_with_an_array(void **state)
{
    enum { THINGS = 1000 };
    static struct thing things[THINGS];
    struct table *table = table_new(name_of);
    unsigned random = 1;
    size_t count = 0;
    (void)state;
    for (int i = 0; i < THINGS; i++)
        snprintf(things[i].name, sizeof things[i].name, "thing-%d", i);
    for (int step = 0; step < 50000; step++) {
        random = random * 1103515245 + 12345;
        struct thing *thing = &things[(random >> 8) % THINGS];
        if (thing->there)
            table_remove(table, thing);
        else
            table_add(table, thing);
        count += thing->there ? (size_t)-1 : 1;
        thing->there = !thing->there;
        assert_int_equal(table_count(table), count);
        if (step % 1000 == 0)
            for (int i = 0; i < THINGS; i++)
                assert_ptr_equal(table_find(table, things[i].name, strlen(things[i].name)),
                                 things[i].there ? &things[i] : NULL);
    }
    size_t at = 0;
    size_t seen = 0;
    while (table_next(table, &at) != NULL)
        seen++;
    assert_int_equal(seen, count);
    table_free(table);
}

/* Removing moves values across the place where a walk goes on: it would miss some unnoticed. */
static void test_table_next_after_a_change_is_found_out(void **state)
{
    static struct thing things[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    struct table *table = table_new(name_of);
    size_t at = 0;
    int status;
    (void)state;
    for (int i = 0; i < 3; i++)
        table_add(table, &things[i]);
    table_remove(table, table_next(table, &at));
    pid_t child = fork();
    if (child == 0) {
        struct sigaction plain = {.sa_handler = SIG_DFL};
        sigaction(SIGABRT, &plain, NULL);
        freopen("/dev/null", "w", stderr);
        table_next(table, &at);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    size_t again = 0;
    for (int i = 0; i < 2; i++)
        assert_non_null(table_next(table, &again));
    assert_null(table_next(table, &again));
    table_free(table);
}

static void test_list_keeps_order(void **state)
{
    struct link list;
    struct link links[3];
    (void)state;
    list_init(&list);
    assert_true(list_is_empty(&list));
    for (int i = 0; i < 3; i++) {
        list_init(&links[i]);
        list_add(&list, &links[i]);
    }
    list_remove(&links[1]);
    list_remove(&links[1]);
    assert_ptr_equal(list.next, &links[0]);
    assert_ptr_equal(list.next->next, &links[2]);
    assert_ptr_equal(list.previous, &links[2]);
}

static void test_quota(void **state)
{
    struct quota *quota = quota_new(2);
    struct address a;
    struct address b;
    struct address local;
    (void)state;
    address_parse("2001:db8::1", 11, &a);
    address_parse("2001:db8::2", 11, &b); /* the same /64 */
    address_parse("127.0.0.1", 9, &local);
    assert_true(quota_take(quota, &a));
    assert_true(quota_take(quota, &b));
    assert_false(quota_take(quota, &a));
    assert_true(quota_is_scarce(quota, &b));
    quota_give(quota, &b);
    assert_false(quota_is_scarce(quota, &b));
    assert_true(quota_take(quota, &a));
    for (int i = 0; i < 10; i++)
        assert_true(quota_take(quota, &local));
    quota_free(quota);
}

static void test_text_numbers(void **state)
{
    char out[TEXT_NUMBER_BYTES];
    struct text text = TEXT_EMPTY;
    (void)state;
    assert_int_equal(text_number(0, out), 1);
    assert_string_equal(out, "0");
    assert_int_equal(text_number(UINT64_MAX, out), 20);
    assert_string_equal(out, "18446744073709551615");
    text_add_number(&text, 1024);
    text_add_number(&text, 7);
    assert_string_equal(text.data, "10247");
    text_done(&text);
}

static void test_rate(void **state)
{
    const struct rate_limit limit = {.per_second = 2, .burst = 3};
    const struct rate_limit none = {0};
    struct rate rate = rate_new(&limit, 1000);
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(&rate, &limit, RATE_WORDS, 1000));
    assert_false(rate_take(&rate, &limit, RATE_WORDS, 1000));
    assert_false(rate_take(&rate, &limit, RATE_WORDS, 1400));
    assert_true(rate_wait(&rate, &limit) > 0);
    assert_true(rate_take(&rate, &limit, RATE_WORDS, 1600));
    assert_false(rate_take(&rate, &limit, RATE_WORDS, 1600));
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(&rate, &limit, RATE_WORDS, 100000));
    assert_false(rate_take(&rate, &limit, RATE_WORDS, 100000));
    for (int i = 0; i < 100; i++)
        assert_true(rate_take(&rate, &none, RATE_WORDS, 0));
}

static void test_signs_have_a_bucket_of_their_own_and_never_too_little(void **state)
{
    const struct rate_limit limit = {.per_second = 0.1, .burst = 1};
    struct rate rate = rate_new(&limit, 1000);
    (void)state;
    assert_true(rate_take(&rate, &limit, RATE_WORDS, 1000));
    assert_false(rate_take(&rate, &limit, RATE_WORDS, 1000));
    for (int i = 0; i < RATE_SIGNS_LEAST_BURST; i++)
        assert_true(rate_take(&rate, &limit, RATE_SIGNS, 1000));
    assert_false(rate_take(&rate, &limit, RATE_SIGNS, 1000));
    assert_true(rate_take(&rate, &limit, RATE_SIGNS, 1500));
    assert_false(rate_take(&rate, &limit, RATE_WORDS, 1500));
}

static void test_rate_survives_the_clock_wrapping(void **state)
{
    const struct rate_limit limit = {.per_second = 1, .burst = 1};
    int64_t wrap = (int64_t)UINT32_MAX;
    struct rate rate = rate_new(&limit, wrap - 10);
    (void)state;
    assert_true(rate_take(&rate, &limit, RATE_WORDS, wrap - 10));
    assert_false(rate_take(&rate, &limit, RATE_WORDS, wrap + 500));
    assert_true(rate_take(&rate, &limit, RATE_WORDS, wrap + 1600));
}

static void test_text(void **state)
{
    struct text text = TEXT_EMPTY;
    (void)state;
    for (int i = 0; i < 1000; i++)
        text_print(&text, "%d,", i);
    assert_int_equal(text.len, strlen(text.data));
    text_clear(&text);
    assert_string_equal(text.data, "");
    char *taken = text_take(&text);
    assert_string_equal(taken, "");
    free(taken);
}

static void test_token(void **state)
{
    struct token token;
    struct token read;
    char text[TOKEN_BYTES];
    char other[TOKEN_BYTES];
    (void)state;
    token_new(&token, text);
    assert_int_equal(strlen(text), TOKEN_BYTES - 1);
    assert_int_equal(token_parse(text, strlen(text), &read), 0);
    assert_string_equal(read.id, token.id);
    assert_string_equal(read.hash, token.hash);
    memcpy(other, text, sizeof other);
    other[20] = other[20] == 'A' ? 'B' : 'A';
    assert_int_equal(token_parse(other, strlen(other), &read), 0);
    assert_string_not_equal(read.hash, token.hash);
    for (size_t len = 0; len < TOKEN_BYTES - 1; len++)
        assert_int_equal(token_parse(text, len, &read), -1);
    other[3] = '%';
    assert_int_equal(token_parse(other, strlen(other), &read), -1);
}

static void test_bytes(void **state)
{
    struct bytes *bytes = NULL;
    (void)state;
    bytes_drop(&bytes, 0);
    bytes_add(&bytes, "", 0);
    assert_null(bytes);
    for (int i = 0; i < 500; i++)
        bytes_add(&bytes, "ab", 2);
    bytes_add_first(&bytes, "xyz", 3);
    assert_int_equal(bytes_len(bytes), 1003);
    bytes_drop(&bytes, 1);
    assert_memory_equal(bytes->data, "yzabab", 6);
    bytes_drop(&bytes, 1002);
    assert_null(bytes);
}

static int came_up;
static struct wheel *wheel;

static void on_due(struct link *item)
{
    came_up++;
    if (came_up == 3) /* back into the slot that is being emptied, a whole round later */
        wheel_add(wheel, item, 5);
}

static void test_wheel(void **state)
{
    struct link items[4];
    (void)state;
    came_up = 0;
    wheel = wheel_new(5, 100);
    for (int i = 0; i < 4; i++)
        list_init(&items[i]);
    wheel_add(wheel, &items[0], 1);
    wheel_add(wheel, &items[1], 3);
    wheel_add(wheel, &items[2], 99);
    wheel_add(wheel, &items[3], 2);
    wheel_add(wheel, &items[3], 5);
    wheel_advance(wheel, 100, on_due);
    assert_int_equal(came_up, 0);
    wheel_advance(wheel, 101, on_due);
    assert_int_equal(came_up, 1);
    wheel_advance(wheel, 104, on_due);
    assert_int_equal(came_up, 2);
    wheel_advance(wheel, 105, on_due);
    assert_int_equal(came_up, 4);
    wheel_advance(wheel, 1000, on_due);
    assert_int_equal(came_up, 5);
    wheel_advance(wheel, 2000, on_due);
    assert_int_equal(came_up, 5);
    wheel_free(wheel);
}

static void test_wheel_emptied(void **state)
{
    struct link items[4];
    (void)state;
    came_up = 10; /* on_due puts the third back, and here there is none */
    wheel = wheel_new(5, 100);
    for (unsigned i = 0; i < 4; i++) {
        list_init(&items[i]);
        wheel_add(wheel, &items[i], i / 2 + 1);
    }
    wheel_empty(wheel, on_due);
    assert_int_equal(came_up, 14);
    wheel_advance(wheel, 105, on_due);
    assert_int_equal(came_up, 14);
    wheel_free(wheel);
}

static uint32_t seen[3];

static void note_tick(struct link *item)
{
    seen[came_up++] = wheel_now(wheel);
    if (came_up == 1)
        wheel_add(wheel, item, 2);
}

/* When it moves on by several ticks at once, each item comes up in its own one, and what it asks
 * for counts from there. */
static void test_wheel_that_is_late(void **state)
{
    struct link items[2];
    (void)state;
    came_up = 0;
    wheel = wheel_new(5, 100);
    for (int i = 0; i < 2; i++) {
        list_init(&items[i]);
        wheel_add(wheel, &items[i], i == 0 ? 1 : 4);
    }
    wheel_advance(wheel, 104, note_tick);
    assert_int_equal(came_up, 3);
    assert_int_equal(seen[0], 101);
    assert_int_equal(seen[1], 103);
    assert_int_equal(seen[2], 104);
    assert_int_equal(wheel_now(wheel), 104);
    wheel_free(wheel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_agrees_with_an_array),
        cmocka_unit_test(test_table_next_after_a_change_is_found_out),
        cmocka_unit_test(test_list_keeps_order),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_text_numbers),
        cmocka_unit_test(test_signs_have_a_bucket_of_their_own_and_never_too_little),
        cmocka_unit_test(test_rate_survives_the_clock_wrapping),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_wheel),
        cmocka_unit_test(test_wheel_emptied),
        cmocka_unit_test(test_wheel_that_is_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
