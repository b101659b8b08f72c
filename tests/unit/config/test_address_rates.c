/* What an address may do in a while, whatever becomes of its connections. */
#include "unit.h"

#include "config/address_rates.h"

static struct config config;
static struct address_rates *rates;
static int64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    config = (struct config){.rate_per_address = {10, 20},
                             .bytes_per_address = {1000, 5000},
                             .joins_per_address = {0, 20},
                             .rooms_per_address = {0.5, 1}};
    rates = address_rates_new(&config);
    now_ms = 123456;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    address_rates_free(rates);
    return 0;
}

static struct address address_of(const char *text)
{
    struct address address = {.local_socket = false};
    assert_int_equal(address_parse(text, strlen(text), &address), 0);
    return address;
}

static double take(const char *text, enum address_rate kind, size_t amount)
{
    struct address address = address_of(text);
    return address_rates_take(rates, &address, kind, amount, now_ms);
}

static int take_all(const char *text, enum address_rate kind)
{
    int count = 0;
    while (count < 1000 && take(text, kind, 1) <= 0)
        count++;
    return count;
}

static void test_a_burst_and_then_so_many_a_second(void **state)
{
    (void)state;
    assert_int_equal(take_all("192.0.2.1", ADDRESS_WORDS), 20);
    assert_true(take("192.0.2.1", ADDRESS_WORDS, 1) >= 0.1);
    now_ms += 1000;
    assert_int_equal(take_all("192.0.2.1", ADDRESS_WORDS), 10);
    now_ms += 100000;
    assert_int_equal(take_all("192.0.2.1", ADDRESS_WORDS), 20);
}

static void test_an_address_does_not_take_from_another_nor_one_kind_from_another(void **state)
{
    (void)state;
    take_all("192.0.2.1", ADDRESS_WORDS);
    assert_int_equal(take_all("192.0.2.2", ADDRESS_WORDS), 20);
    assert_int_equal(take_all("192.0.2.1", ADDRESS_SIGNS), 80);
    assert_int_equal(take_all("192.0.2.1", ADDRESS_ROOMS), 1);
    assert_true(take("192.0.2.1", ADDRESS_ROOMS, 1) > 1.9);
    assert_true(take("192.0.2.1", ADDRESS_ROOMS, 1) < 2.1);
}

static void test_a_network_of_ipv6_is_one_address(void **state)
{
    (void)state;
    assert_int_equal(take_all("2001:db8::1", ADDRESS_WORDS), 20);
    assert_int_equal(take_all("2001:db8::ffff:1", ADDRESS_WORDS), 0);
    assert_int_equal(take_all("2001:db8:0:1::1", ADDRESS_WORDS), 20);
}

static void test_a_read_goes_into_debt_and_the_next_waits_for_all_of_it(void **state)
{
    (void)state;
    assert_true(take("192.0.2.1", ADDRESS_BYTES, 4000) <= 0);
    assert_true(take("192.0.2.1", ADDRESS_BYTES, 4000) <= 0);
    assert_true(take("192.0.2.1", ADDRESS_BYTES, 1) >= 3);
    now_ms += 3100;
    assert_true(take("192.0.2.1", ADDRESS_BYTES, 1) <= 0);
}

static void test_no_limit_and_loopback_are_not_counted(void **state)
{
    (void)state;
    struct address local = {.local_socket = true};
    assert_int_equal(take_all("192.0.2.1", ADDRESS_JOINS), 1000);
    assert_int_equal(take_all("127.0.0.1", ADDRESS_WORDS), 1000);
    assert_int_equal(take_all("::1", ADDRESS_WORDS), 1000);
    for (int i = 0; i < 100; i++)
        assert_true(address_rates_take(rates, &local, ADDRESS_WORDS, 1, now_ms) <= 0);
    assert_true(address_rates_take(NULL, &local, ADDRESS_WORDS, 1, now_ms) <= 0);
    assert_int_equal(address_rates_count(rates), 0);
}

static void test_an_address_is_forgotten_when_its_buckets_are_full(void **state)
{
    (void)state;
    take_all("192.0.2.1", ADDRESS_BYTES);
    now_ms += 9000;
    take_all("192.0.2.2", ADDRESS_WORDS);
    address_rates_tick(rates, now_ms);
    assert_int_equal(address_rates_count(rates), 2);
    now_ms += 2000;
    address_rates_tick(rates, now_ms);
    assert_int_equal(address_rates_count(rates), 1);
    assert_int_equal(take_all("192.0.2.2", ADDRESS_WORDS), 20);
}

/* joins_per_address is none here. */
static void test_a_limit_of_none_keeps_no_address(void **state)
{
    (void)state;
    take_all("192.0.2.1", ADDRESS_BYTES);
    now_ms += 10000; /* bytes take the longest: twice 5000 at 1000 a second */
    address_rates_tick(rates, now_ms);
    assert_int_equal(address_rates_count(rates), 0);
}

static void test_the_longest_quiet_is_forgotten_for_one_too_many(void **state)
{
    (void)state;
    struct address address = address_of("10.0.0.0");
    take_all("192.0.2.1", ADDRESS_WORDS);
    take_all("192.0.2.2", ADDRESS_WORDS);
    for (unsigned i = 0; i < ADDRESS_RATES_MOST - 1; i++) {
        address.bytes[13] = (uint8_t)(i >> 16);
        address.bytes[14] = (uint8_t)(i >> 8);
        address.bytes[15] = (uint8_t)i;
        assert_true(address_rates_take(rates, &address, ADDRESS_WORDS, 1, now_ms) <= 0);
    }
    assert_int_equal(address_rates_count(rates), ADDRESS_RATES_MOST);
    assert_int_equal(take_all("192.0.2.2", ADDRESS_WORDS), 0);
    assert_int_equal(take_all("192.0.2.1", ADDRESS_WORDS), 20);
    assert_int_equal(address_rates_count(rates), ADDRESS_RATES_MOST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_burst_and_then_so_many_a_second),
        TEST(test_an_address_does_not_take_from_another_nor_one_kind_from_another),
        TEST(test_a_network_of_ipv6_is_one_address),
        TEST(test_a_read_goes_into_debt_and_the_next_waits_for_all_of_it),
        TEST(test_no_limit_and_loopback_are_not_counted),
        TEST(test_an_address_is_forgotten_when_its_buckets_are_full),
        TEST(test_a_limit_of_none_keeps_no_address),
        TEST(test_the_longest_quiet_is_forgotten_for_one_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
