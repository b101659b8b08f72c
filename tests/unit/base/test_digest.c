#include "unit.h"

#include "base/digest.h"

#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 16, SEVERAL = 4 };

static bool all_differ(uint8_t pieces[][PIECE], size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (memcmp(pieces[i], pieces[j], PIECE) == 0)
                return false;
    return true;
}

static void test_random_gives_nothing_twice(void **state)
{
    enum { MANY = 1000 }; /* several fillings of the pool */
    static uint8_t pieces[MANY][PIECE];
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        digest_random(pieces[i], PIECE);
    assert_true(all_differ(pieces, MANY));
}

static void test_random_fills_all_that_it_may_to_the_last_byte(void **state)
{
    uint8_t bytes[DIGEST_RANDOM_MOST + 1] = {0};
    const uint8_t none[PIECE] = {0};
    (void)state;
    digest_random(bytes, 1); /* a pool that is not full */
    bytes[DIGEST_RANDOM_MOST] = 'x';
    memset(bytes, 0, DIGEST_RANDOM_MOST);
    digest_random(bytes, DIGEST_RANDOM_MOST);
    assert_int_equal(bytes[DIGEST_RANDOM_MOST], 'x');
    assert_memory_not_equal(bytes, none, PIECE);
    assert_memory_not_equal(bytes + DIGEST_RANDOM_MOST - PIECE, none, PIECE);
}

/* One who forked off, and one who forked off that one. */
static void test_random_is_not_the_same_after_a_fork(void **state)
{
    uint8_t pieces[SEVERAL][PIECE];
    int ends[2];
    (void)state;
    digest_random(pieces[0], PIECE); /* the pool is filled */
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        digest_random(pieces[0], PIECE);
        bool good = write(ends[1], pieces[0], PIECE) == PIECE;
        if (grandchild > 0)
            waitpid(grandchild, NULL, 0);
        _exit(good ? 0 : 1);
    }
    close(ends[1]);
    digest_random(pieces[1], PIECE);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(read(ends[0], pieces[2], PIECE), PIECE);
    assert_int_equal(read(ends[0], pieces[3], PIECE), PIECE);
    assert_true(all_differ(pieces, SEVERAL));
    close(ends[0]);
}

/* The vectors of RFC 4648, section 10; and the two signs that both alphabets have apart. */
static void test_base64_is_that_of_the_rfc(void **state)
{
    static const struct {
        const char *bytes, *padded, *url;
    } cases[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/", "-_-_"},
        {"0123456789abcdef0123456789abcde\xff", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZf8=",
         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZf8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].bytes);
        char padded[DIGEST_BASE64_BYTES(DIGEST_SHA256_BYTES)];
        char url[(DIGEST_SHA256_BYTES * 4 + 2) / 3 + 1];
        digest_base64(cases[i].bytes, len, padded);
        digest_base64url(cases[i].bytes, len, url);
        assert_string_equal(padded, cases[i].padded);
        assert_string_equal(url, cases[i].url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_is_that_of_the_rfc),
        cmocka_unit_test(test_random_gives_nothing_twice),
        cmocka_unit_test(test_random_fills_all_that_it_may_to_the_last_byte),
        cmocka_unit_test(test_random_is_not_the_same_after_a_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
