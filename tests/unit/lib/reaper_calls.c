#include "unit.h"

#include "reaper_calls.h"

void take_lease(void)
{
    broker_answer(world_await("lease"), "['made', 0, 0, 'ours 1', '']");
    world_when("lease", NULL, "['kept', 0, 0, 'ours 2', '']");
    assert_string_equal(world_told(), "taken ");
}

struct broker_call *await_burial(const char *channel, const char *id)
{
    struct broker_call *call = world_await("bury");
    assert_string_equal(broker_key(call, 1), channel);
    assert_string_equal(broker_argument(call, 5), id);
    return call;
}

void expect_names(const struct broker_call *call, const char *first, const char *second)
{
    assert_string_equal(broker_argument(call, FIRST_NAME), first);
    if (second == NULL)
        assert_null(broker_argument(call, FIRST_NAME + 1));
    else
        assert_string_equal(broker_argument(call, FIRST_NAME + 1), second);
}
