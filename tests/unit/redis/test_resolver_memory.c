/* Where getaddrinfo has no memory left, the resolver says that there is no answer, or has the right
 * one. (A thread's start cannot be tried: the sanitizer would need what it is refused.) */
#include "unit.h"

#include "base/library_memory.h"
#include "failing_malloc.h"
#include "redis/resolver.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <event2/event.h>
#include <netdb.h>

static struct event_base *base;
static struct resolver_answer found;
static unsigned answers;

static unsigned failing; /* which allocation, and how */
static enum failing_malloc failing_how;
static bool failed;

/* In the resolver's thread. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    failing_malloc_begin(failing, failing_how);
    int error = real(host, port, hints, out);
    failed = failing_malloc_end();
    return error;
}

static void on_resolved(void *arg, const struct resolver_answer *answer)
{
    (void)arg;
    found = *answer;
    answers++;
}

static void check_answer(void)
{
    struct sockaddr_in address;
    assert_int_equal(answers, 1);
    if (found.error != 0)
        return;
    memcpy(&address, &found.address, sizeof address);
    assert_int_equal(address.sin_family, AF_INET);
    assert_int_equal(address.sin_port, htons(6379));
    assert_int_equal(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

/* Returns whether an allocation has failed. */
static bool resolve_without(unsigned n, enum failing_malloc how)
{
    static const struct redis_url url = {.host = "127.0.0.1", .port = 6379};
    answers = 0;
    failing = n;
    failing_how = how;
    assert_non_null(resolver_start(base, &url, 0, on_resolved, NULL));
    event_base_dispatch(base);
    check_answer();
    assert_true(failed || found.error == 0);
    return failed;
}

static void test_without_memory_there_is_no_answer_or_the_right_one(void **state)
{
    unsigned n = 1, m = 1;
    (void)state;
    while (resolve_without(n, FAILING_ONCE))
        n++;
    while (resolve_without(m, FAILING_ONWARD))
        m++;
    assert_true(n > 1 && m > 1);
}

static int set_up(void **state)
{
    (void)state;
    library_memory_take_over(event_set_mem_functions);
    base = event_base_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    event_base_free(base);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_memory_there_is_no_answer_or_the_right_one),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
