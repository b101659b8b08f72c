/* Where wslay or zlib has no memory left all messages are given nevertheless, or the process ends.
 */
#include "unit.h"

#include "decoder_notes.h"
#include "failing_malloc.h"
#include "protocol/deflate.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* "Hel" + ping + "lo", masked with zeroes; a whole "x"; a pong; "Hello" compressed (RFC 7692
 * section 7.2.3.1); a close frame, 1000. */
static const uint8_t input[] = "\x01\x83\0\0\0\0Hel"
                               "\x89\x81\0\0\0\0p"
                               "\x80\x82\0\0\0\0lo"
                               "\x81\x81\0\0\0\0x"
                               "\x8a\x80\0\0\0\0"
                               "\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00"
                               "\x88\x82\0\0\0\0\x03\xe8";
static const char expected[] = "P(p)T(Hello)T(x)Q()T(Hello)C(1000)";

static uint64_t inflated;

static const struct decoder_limits limits = {.message_bytes = 100, .fragments = 8};

static enum decoder_result feed_in_pieces(struct decoder *decoder, size_t piece, uint16_t *code)
{
    enum decoder_result result = DECODER_OPEN;
    for (size_t at = 0; at < sizeof input - 1 && result == DECODER_OPEN; at += piece) {
        size_t left = sizeof input - 1 - at;
        result = decoder_feed(decoder, input + at, left < piece ? left : piece, code);
    }
    return result;
}

/* Exit statuses: not those of a sanitizer that finds something. */
enum { ALL_GOOD = 60, GOOD_WITHOUT, WRONG };

/* In a process that ends with it. */
static int decode(unsigned n, enum failing_malloc how, size_t piece)
{
    uint16_t code = 0;
    struct inflater *inflater = inflater_new(100, &inflated);
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    decoder_set_inflater(decoder, inflater);
    failing_malloc_begin(n, how);
    enum decoder_result result = feed_in_pieces(decoder, piece, &code);
    bool failed = failing_malloc_end();
    decoder_free(decoder);
    inflater_free(inflater);
    if (strcmp(decoder_notes_seen, expected) != 0 || result != DECODER_CLOSED || code != 1000)
        return WRONG;
    return failed ? GOOD_WITHOUT : ALL_GOOD;
}

/* As a build with LeakSanitizer finds it. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static bool has_leaked(void)
{
    uint8_t forgotten[4096]; /* pointers on the stack */
    memset(forgotten, 0, sizeof forgotten);
    __asm__ volatile("" : : "r"(forgotten) : "memory");
    return __lsan_do_recoverable_leak_check != NULL && __lsan_do_recoverable_leak_check() != 0;
}

/* Returns whether an allocation has failed. */
static bool decode_without(unsigned n, enum failing_malloc how, size_t piece)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int verdict = decode(n, how, piece);
        _exit(has_leaked() ? WRONG : verdict);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGABRT);
        return true;
    }
    assert_in_range(WEXITSTATUS(status), ALL_GOOD, GOOD_WITHOUT);
    return WEXITSTATUS(status) == GOOD_WITHOUT;
}

static void test_all_messages_are_given_or_the_process_ends(void **state)
{
    static const size_t pieces[] = {1, 7, sizeof input};
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        unsigned n = 1, m = 1;
        while (decode_without(n, FAILING_ONCE, pieces[i]))
            n++;
        while (decode_without(m, FAILING_ONWARD, pieces[i]))
            m++;
        assert_true(n > 1 && m > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_messages_are_given_or_the_process_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
