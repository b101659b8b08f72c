#include "unit.h"

#include "reaper_calls.h"

void take_lease(void)
{
    fake_redis_answer(world_await("lease"), "['acquired', 0, 0, 'ours 1', '']");
    world_when("lease", NULL, "['renewed', 0, 0, 'ours 2', '']");
    assert_string_equal(world_told(), "taken ");
}

struct fake_redis_call *await_reap(const char *channel, const char *id)
{
    struct fake_redis_call *call = world_await("reap");
    assert_string_equal(fake_redis_key(call, 1), channel);
    assert_string_equal(fake_redis_argument(call, 5), id);
    return call;
}

void expect_names(const struct fake_redis_call *call, const char *first, const char *second)
{
    assert_string_equal(fake_redis_argument(call, FIRST_NAME), first);
    if (second == NULL)
        assert_null(fake_redis_argument(call, FIRST_NAME + 1));
    else
        assert_string_equal(fake_redis_argument(call, FIRST_NAME + 1), second);
}
