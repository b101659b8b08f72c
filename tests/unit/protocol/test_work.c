#include "unit.h"

#include "protocol/work.h"

enum { BITS = 8, NOW_S = 1700000000 };

static const uint8_t key[DIGEST_SHA256_BYTES] = {1, 2, 3};
static const uint8_t address[16] = {10, 11};
static const struct work_terms terms = {key, address, NOW_S};

static bool is_good(const char *challenge, const char *work, unsigned bits)
{
    char text[256];
    uint8_t hash[DIGEST_SHA256_BYTES];
    snprintf(text, sizeof text, "%s:%s", challenge, work);
    digest_sha256(text, strlen(text), hash);
    return (hash[0] << 16 | hash[1] << 8 | hash[2]) >> (24 - bits) == 0;
}

/* The first answer from there on that has so many bits, or has them not. */
static void solve(const char *challenge, unsigned bits, bool good, char out[WORK_BYTES])
{
    for (unsigned i = 0;; i++) {
        snprintf(out, WORK_BYTES, "%u", i);
        if (is_good(challenge, out, bits) == good)
            return;
    }
}

static void test_the_answer_to_a_challenge_is_taken_and_no_other(void **state)
{
    char challenge[WORK_CHALLENGE_BYTES], other[WORK_CHALLENGE_BYTES];
    char work[WORK_BYTES];
    (void)state;
    work_make(&terms, BITS, challenge);
    work_make(&terms, BITS, other);
    assert_string_not_equal(challenge, other);
    solve(challenge, BITS, true, work);
    assert_true(work_is_done(&terms, BITS, challenge, work));
    assert_true(work_is_done(&terms, BITS - 1, challenge, work));
    assert_false(work_is_done(&terms, BITS + 1, challenge, work));
    solve(challenge, BITS, false, work);
    assert_false(work_is_done(&terms, BITS, challenge, work));
}

/* Those that lack one bit, and those that have all, also where the bits end within a byte. */
static void test_each_bit_is_needed(void **state)
{
    static const unsigned all[] = {1, 2, 7, 8, 9, 15, 16, 17};
    char challenge[WORK_CHALLENGE_BYTES];
    char work[WORK_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        unsigned bits = all[i];
        bool seen[2] = {false, false};
        work_make(&terms, bits, challenge);
        for (unsigned n = 0; !seen[false] || !seen[true]; n++) {
            snprintf(work, sizeof work, "%u", n);
            if (!is_good(challenge, work, bits - 1))
                continue;
            bool good = is_good(challenge, work, bits);
            seen[good] = true;
            assert_int_equal(work_is_done(&terms, bits, challenge, work), good);
        }
    }
}

static void test_a_challenge_is_for_its_address_under_its_key_for_two_minutes(void **state)
{
    static const uint8_t other_key[DIGEST_SHA256_BYTES] = {1, 2, 4};
    static const uint8_t other_address[16] = {10, 12};
    char challenge[WORK_CHALLENGE_BYTES];
    char work[WORK_BYTES];
    (void)state;
    work_make(&terms, BITS, challenge);
    solve(challenge, BITS, true, work);
    const struct {
        struct work_terms terms;
        bool good;
    } cases[] = {
        {{other_key, address, NOW_S}, false}, {{key, other_address, NOW_S}, false},
        {{key, address, NOW_S + 120}, true},  {{key, address, NOW_S + 121}, false},
        {{key, address, NOW_S - 10}, true},   {{key, address, NOW_S - 11}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(work_is_done(&cases[i].terms, BITS, challenge, work), cases[i].good);
}

static void test_a_challenge_of_which_anything_was_changed_is_none(void **state)
{
    char challenge[WORK_CHALLENGE_BYTES], changed[WORK_CHALLENGE_BYTES + 80];
    char work[WORK_BYTES];
    (void)state;
    work_make(&terms, BITS, challenge);
    for (size_t i = 0; i < strlen(challenge); i++) {
        memcpy(changed, challenge, sizeof challenge);
        changed[i] = changed[i] == '1' ? '2' : '1';
        solve(changed, BITS, true, work);
        assert_false(work_is_done(&terms, BITS, changed, work));
        changed[i] = '\0';
        assert_false(work_is_done(&terms, BITS, changed, work));
    }
    snprintf(changed, sizeof changed, "%s%0*d", challenge, 70, 0);
    assert_false(work_is_done(&terms, BITS, changed, "0"));
    /* too long, with an end of the length of a hash */
    memset(changed, '1', sizeof changed - 1);
    changed[sizeof changed - 1] = '\0';
    changed[sizeof changed - 1 - sizeof ".0123456789012345678901" + 1] = '.';
    assert_false(work_is_done(&terms, BITS, changed, "0"));
    memset(changed, '0', sizeof changed - 1);
    changed[sizeof changed - 1] = '\0';
    assert_false(work_is_done(&terms, 0, challenge, changed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answer_to_a_challenge_is_taken_and_no_other),
        cmocka_unit_test(test_each_bit_is_needed),
        cmocka_unit_test(test_a_challenge_is_for_its_address_under_its_key_for_two_minutes),
        cmocka_unit_test(test_a_challenge_of_which_anything_was_changed_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
