/* loop: its steps come in one order, and it rests when its iterations come fast and have nothing
 * left to do. */
#include "base/clock.h"
#include "loop.h"
#include "unit.h"

#include <event2/event.h>
#include <sys/resource.h>

struct round {
    struct event_base *base;
    struct event *event;
    int turns, wanted, ends;
    bool more;
    char steps[16]; /* of the latest iteration, a letter for each */
};

static void on_turn(evutil_socket_t fd, short events, void *arg)
{
    static const struct timeval at_once = {0, 0};
    struct round *round = arg;
    (void)fd;
    (void)events;
    if (++round->turns == round->wanted)
        event_base_loopbreak(round->base);
    else
        event_add(round->event, &at_once);
}

static bool has_more(void *arg)
{
    const struct round *round = arg;
    return round->more;
}

static void note(void *arg, char letter)
{
    struct round *round = arg;
    size_t len = strlen(round->steps);
    assert_true(len + 1 < sizeof round->steps);
    round->steps[len] = letter;
}

static void deliver(void *arg)
{
    struct round *round = arg;
    memset(round->steps, 0, sizeof round->steps);
    note(arg, 'd');
}

static void read_clients(void *arg)
{
    note(arg, 'r');
}

static void send_to_redis(void *arg)
{
    note(arg, 's');
}

static void write_to_clients(void *arg)
{
    note(arg, 'w');
}

static void on_end(void *arg)
{
    struct round *round = arg;
    assert_string_equal(round->steps, "drsws");
    round->ends++;
}

static const struct loop_steps steps = {deliver,          read_clients, send_to_redis,
                                        write_to_clients, on_end,       has_more};

static struct round go_round(int wanted, bool more)
{
    struct round round = {.base = event_base_new(), .wanted = wanted, .more = more};
    round.event = event_new(round.base, -1, 0, on_turn, &round);
    event_active(round.event, EV_TIMEOUT, 0);
    loop_run(round.base, &steps, &round);
    event_free(round.event);
    event_base_free(round.base);
    return round;
}

static long sleeps(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

static void test_turns_that_come_fast_are_a_thousand_a_second(void **state)
{
    (void)state;
    int64_t begun_us = clock_monotonic_us();
    struct round round = go_round(100, false);
    assert_int_equal(round.turns, 100);
    assert_true(clock_monotonic_us() - begun_us >= 90000); /* all but the last and eight */
}

static void test_a_few_turns_do_not_wait(void **state)
{
    (void)state;
    long before = sleeps();
    struct round round = go_round(8, false);
    assert_int_equal(round.turns, 8);
    assert_int_equal(round.ends, 7); /* the loop was left in the middle of the last one */
    assert_true(sleeps() - before < 4);
}

static void test_who_has_more_to_do_does_not_rest(void **state)
{
    (void)state;
    long before = sleeps();
    assert_int_equal(go_round(1000, true).turns, 1000);
    assert_true(sleeps() - before < 100);
}

static void test_it_ends_when_there_is_nothing_to_wait_for(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    loop_run(base, &steps, &(struct round){0});
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_that_come_fast_are_a_thousand_a_second),
        cmocka_unit_test(test_a_few_turns_do_not_wait),
        cmocka_unit_test(test_who_has_more_to_do_does_not_rest),
        cmocka_unit_test(test_it_ends_when_there_is_nothing_to_wait_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
