#include "unit.h"

#include "config/address_names.h"

static struct address parse(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(text, strlen(text), &address), 0);
    return address;
}

/* Is this one of the names of the address? */
static bool has_name(const char *address, const char *name)
{
    char names[ADDRESS_NAMES_MOST][ADDRESS_TEXT_BYTES];
    struct address parsed = parse(address);
    size_t count = address_names(&parsed, names);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* The block of a text, which is written like this. */
static struct address_block expect_written(const char *text, const char *written)
{
    struct address_block block;
    char out[ADDRESS_TEXT_BYTES];
    assert_int_equal(address_block_parse(text, &block), 0);
    address_block_format(&block, out);
    assert_string_equal(out, written);
    return block;
}

static void
test_an_address_of_ipv4_is_looked_for_by_itself_and_by_all_blocks_down_to_8(void **state)
{
    char names[ADDRESS_NAMES_MOST][ADDRESS_TEXT_BYTES];
    struct address address = parse("203.0.113.7");
    (void)state;
    assert_int_equal(address_names(&address, names), 26);
    assert_string_equal(names[0], "203.0.113.7");
    assert_string_equal(names[1], "203.0.113.7/32");
    assert_string_equal(names[2], "203.0.113.6/31");
    assert_string_equal(names[9], "203.0.113.0/24");
    assert_string_equal(names[25], "203.0.0.0/8");
}

static void test_an_address_of_ipv6_is_looked_for_in_its_canonical_spelling(void **state)
{
    char names[ADDRESS_NAMES_MOST][ADDRESS_TEXT_BYTES];
    struct address address = parse("2001:DB8:0:0:0:0:0:1");
    (void)state;
    assert_int_equal(address_names(&address, names), ADDRESS_NAMES_MOST);
    assert_string_equal(names[0], "2001:db8::1");
    assert_string_equal(names[1], "2001:db8::1/128");
    assert_string_equal(names[2], "2001:db8::/64");
    assert_string_equal(names[34], "2001:db8::/32");
    assert_string_equal(names[50], "2001::/16");
    assert_true(has_name("2001:db8:ffff::1", "2001:db8:fff0::/44"));
    assert_false(has_name("2001:db8:ffff::1", "2001:db8:ffff::/44"));
    assert_true(has_name("::ffff:203.0.113.7", "203.0.113.0/24"));
}

static void test_who_has_no_address_has_no_name(void **state)
{
    char names[ADDRESS_NAMES_MOST][ADDRESS_TEXT_BYTES];
    const struct address local = {.local_socket = true};
    (void)state;
    assert_int_equal(address_names(&local, names), 0);
}

static void test_a_block_is_written_as_one_of_the_names_of_what_is_in_it(void **state)
{
    static const char *const cases[][3] = {
        {"203.0.113.7", "203.0.113.7", "203.0.113.7"},
        {"203.0.113.7/32", "203.0.113.7", "203.0.113.7"},
        {"203.0.113.9/24", "203.0.113.0/24", "203.0.113.7"},
        {"2001:DB8::9", "2001:db8::9", "2001:db8:0::9"},
        {"2001:DB8:0:7::/48", "2001:db8::/48", "2001:db8::9"},
        {"::ffff:203.0.113.9/120", "203.0.113.0/24", "203.0.113.7"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_written(cases[i][0], cases[i][1]);
        assert_true(has_name(cases[i][2], cases[i][1]));
    }
}

static void test_blocks_that_nobody_looks_for_have_no_name(void **state)
{
    static const struct {
        const char *block;
        bool named;
    } cases[] = {
        {"203.0.113.7", true},     {"203.0.113.7/32", true},  {"203.0.113.0/31", true},
        {"203.0.0.0/8", true},     {"202.0.0.0/7", false},    {"0.0.0.0/0", false},
        {"2001:db8::9", true},     {"2001:db8::9/128", true}, {"2001:db8::8/127", false},
        {"2001:db8::/65", false},  {"2001:db8::/64", true},   {"2001::/16", true},
        {"2000::/15", false},      {"::/0", false},           {"::ffff:0:0/104", true},
        {"::ffff:0:0/103", false}, {"::ffff:0:0/95", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address_block block;
        assert_int_equal(address_block_parse(cases[i].block, &block), 0);
        if (address_block_has_name(&block) != cases[i].named)
            fail_msg("%s", cases[i].block);
    }
}

static void test_a_block_around_ipv4_is_written_as_the_block_that_it_is(void **state)
{
    static const char *const cases[][2] = {
        {"::ffff:203.0.113.7/95", "::fffe:0:0/95"},
        {"::ffff:203.0.113.7/90", "::ffc0:0:0/90"},
        {"::ffff:203.0.113.7/80", "::/80"},
        {"::ffff:203.0.113.7/0", "::/0"},
        {"203.0.113.7/0", "0.0.0.0/0"},
    };
    const struct address address = parse("203.0.113.7");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_written(cases[i][0], cases[i][1]);
        struct address_block again = expect_written(cases[i][1], cases[i][1]);
        assert_true(address_in_block(&address, &again));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_an_address_of_ipv4_is_looked_for_by_itself_and_by_all_blocks_down_to_8),
        cmocka_unit_test(test_an_address_of_ipv6_is_looked_for_in_its_canonical_spelling),
        cmocka_unit_test(test_who_has_no_address_has_no_name),
        cmocka_unit_test(test_a_block_is_written_as_one_of_the_names_of_what_is_in_it),
        cmocka_unit_test(test_a_block_around_ipv4_is_written_as_the_block_that_it_is),
        cmocka_unit_test(test_blocks_that_nobody_looks_for_have_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
