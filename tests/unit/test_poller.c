#include "list.h"
#include "poller.h"
#include "unit.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CROWD = 200, MOST_IN_A_TURN = 16, TURNS = CROWD };

/* A socket with something to read on it from the beginning. */
struct person {
    struct watch watch;
    int ends[2];
    int served, put_off;
    bool newcomer;
};

static bool on_ready(struct watch *watch, unsigned ready)
{
    struct person *person = LIST_ITEM(watch, struct person, watch);
    char byte;
    assert_true((ready & POLLER_READ) != 0);
    if (person->newcomer && (ready & POLLER_CROWDED) != 0) {
        person->put_off++;
        return true;
    }
    assert_int_equal(read(person->ends[0], &byte, 1), 1);
    person->served++;
    return person->newcomer;
}

static void arrive(struct poller *poller, struct person *person, bool newcomer)
{
    *person = (struct person){.watch = {on_ready}, .newcomer = newcomer};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, person->ends), 0);
    assert_int_equal(write(person->ends[1], "x", 1), 1);
    assert_int_equal(poller_watch(poller, person->ends[0], &person->watch, 0, POLLER_READ), 0);
}

static void leave(struct poller *poller, struct person *person)
{
    poller_watch(poller, person->ends[0], &person->watch, POLLER_READ, 0);
    close(person->ends[0]);
    close(person->ends[1]);
}

static int served(const struct person *people, int count)
{
    int sum = 0;
    for (int i = 0; i < count; i++)
        sum += people[i].served;
    return sum;
}

static void test_who_is_in_does_not_wait_for_a_crowd_of_newcomers(void **state)
{
    (void)state;
    static struct person crowd[CROWD];
    struct person member;
    struct event_base *base = event_base_new();
    struct poller *poller = poller_new(base);
    for (int i = 0; i < CROWD; i++)
        arrive(poller, &crowd[i], true);
    arrive(poller, &member, false); /* the last in the kernel's list */

    int turns = 0; /* one, but for a machine that halts for a while */
    for (; member.served == 0 && turns < TURNS; turns++)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(member.served, 1);
    assert_in_range(served(crowd, CROWD), 1, turns * MOST_IN_A_TURN);
    assert_true(poller_is_behind(poller));

    for (; poller_is_behind(poller) && turns < TURNS; turns++)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(served(crowd, CROWD), CROWD);
    assert_true(turns >= CROWD / MOST_IN_A_TURN);
    for (int i = 1; i < CROWD; i++) /* first come, first served */
        assert_true(crowd[i - 1].put_off <= crowd[i].put_off);

    for (int i = 0; i < CROWD; i++)
        leave(poller, &crowd[i]);
    leave(poller, &member);
    poller_free(poller);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_in_does_not_wait_for_a_crowd_of_newcomers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
