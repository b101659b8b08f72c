/* The key of the day: what becomes of a member's mark over midnight (UTC). */
#include "unit.h"

#include "world.h"

/* Of whom this call lets in, alone. */
static const char *mark_in(const struct fake_redis_call *call)
{
    assert_int_equal(world_join_count(call), 1);
    return world_join_word(call, 0, WORLD_JOIN_MARK);
}

/* The mark of somebody who joins now. All visitors of a world have one address. */
static void let_in(struct client *client, const char *name, char mark[8])
{
    world_ask(client, name);
    struct fake_redis_call *call = world_await("join");
    snprintf(mark, 8, "%s", mark_in(call));
    world_let_in(call);
}

static void test_one_address_has_one_mark_all_day_and_another_one_on_the_next(void **state)
{
    char alice[8], bob[8], carol[8];
    (void)state;
    let_in(world_connect(), "alice", alice);
    let_in(world_connect(), "bob", bob);
    assert_int_equal(strlen(alice), 3);
    assert_string_equal(alice, bob);
    loop_skip_day();
    let_in(world_connect(), "carol", carol);
    assert_int_equal(strlen(carol), 3);
    assert_string_not_equal(alice, carol);
}

static void test_who_stays_over_midnight_keeps_its_mark_until_it_resumes(void **state)
{
    char today[8], tomorrow[8];
    (void)state;
    let_in(world_connect(), "bob", today);
    struct member alice = world_join("alice");
    loop_skip_day();
    let_in(world_connect(), "carol", tomorrow);
    client_cut(alice.client);
    loop_settle();
    alice.client = world_connect();
    world_ask_again(alice.client, "alice", alice.token, world_seq());
    struct fake_redis_call *call = world_await("join");
    assert_string_equal(mark_in(call), tomorrow);
    world_resume(call);
    const json_t *me = json_object_get(client_expect(alice.client, "welcome"), "me");
    assert_string_equal(client_text(me, "id"), alice.id);
    assert_string_equal(client_text(me, "mark"), tomorrow);
    assert_string_not_equal(today, tomorrow);
}

/* In a cluster the nodes answer in any order: the lease may be there before the key is. */
static void test_people_may_join_when_the_last_thing_that_a_join_needs_is_known(void **state)
{
    (void)state;
    assert_int_equal(world_count_admitting(), 1);
    world_redis_has_address_key(false);
    for (int day = 0; day < 3; day++)
        loop_skip_day();
    struct client *client = world_connect();
    world_ask(client, "alice");
    assert_string_equal(client_text(client_expect(client, "error"), "code"), "unavailable");
    assert_int_equal(world_count_admitting(), 1);
    world_redis_has_address_key(true);
    loop_pass_ms(WORLD_LEASE_MS); /* it is asked for again */
    assert_true(world_count_admitting() > 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_one_address_has_one_mark_all_day_and_another_one_on_the_next),
        TEST(test_who_stays_over_midnight_keeps_its_mark_until_it_resumes),
        TEST(test_people_may_join_when_the_last_thing_that_a_join_needs_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
