/* The connections of a broker have reached two Redis, or nobody knows whether they have. */
#include "unit.h"

#include "publish_world.h"

#define FIRST  "'run_id:fake\r\nmaster_replid:first\r\n'"
#define OTHER  "'run_id:other\r\nmaster_replid:first\r\n'"
#define SILENT "'redis_version:7.0.0\r\nmaster_replid:first\r\n'" /* who it is */

enum { AT_FIRST = 2 };

/* So many connections were made, ever. */
static size_t count_connections(void)
{
    return fake_redis_count(stage.fake, "CLIENT");
}

static bool is_made(void *arg)
{
    return count_connections() == *(const size_t *)arg;
}

/* The connection for commands is made anew, and meets this one; so many were made then. */
static void meet(const char *info, size_t made)
{
    assert_int_equal(count_connections(), AT_FIRST);
    fake_redis_always(stage.fake, "INFO", info);
    drop();
    fake_redis_run_until(stage.fake, is_made, &made);
    fake_redis_run_until(stage.fake, is_up, NULL);
    fake_redis_settle(stage.fake);
    assert_int_equal(count_connections(), made);
}

static void test_both_are_made_anew_when_one_has_reached_another_redis(void **state)
{
    (void)state;
    meet(OTHER, AT_FIRST + 3);
}

static void test_the_same_redis_is_kept(void **state)
{
    (void)state;
    meet(FIRST, AT_FIRST + 1);
}

static void test_one_that_does_not_tell_who_it_is_need_not_be_another_one(void **state)
{
    (void)state;
    meet(SILENT, AT_FIRST + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_are_made_anew_when_one_has_reached_another_redis),
        TEST(test_the_same_redis_is_kept),
        TEST(test_one_that_does_not_tell_who_it_is_need_not_be_another_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
