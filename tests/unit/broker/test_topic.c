#include "unit.h"

#include "broker/topic.h"

static void test_a_room_is_found_by_its_channel(void **state)
{
    const struct config zero = {.redis_prefix = "yukizuri"};
    const struct config third = {.redis_prefix = "yukizuri", .redis_url = {.database = 3}};
    struct key room;
    (void)state;
    assert_true(key_channel_room(key_channel(&zero, "lobby").text, &room));
    assert_string_equal(room.text, "lobby");
    assert_true(key_channel_room(key_channel(&third, "葛城").text, &room));
    assert_string_equal(room.text, "葛城");
    assert_false(key_channel_room(key_gateway_channel(&zero, "g").text, &room));
    assert_false(key_channel_room("yukizuri:{lobby}g}", &room)); /* where a probe speaks */
    assert_false(key_channel_room("yukizuri:{lobby", &room));
    assert_false(key_channel_room("", &room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_room_is_found_by_its_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
