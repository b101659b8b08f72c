/* The very source, and not what AddressSanitizer gets in its place. */
#include "unit.h"

#define SLAB_UNWATCHED
#include "base/slab.c"

enum { MOST = 20000 };

static unsigned char *objects[MOST];
static size_t sizes[MOST];

static void fill(int i, size_t size)
{
    objects[i] = slab_new(size);
    sizes[i] = size;
    for (size_t at = 0; at < size; at++)
        assert_int_equal(objects[i][at], 0);
    memset(objects[i], i % 251 + 1, size);
}

static void check(int i)
{
    for (size_t at = 0; at < sizes[i]; at++)
        assert_int_equal(objects[i][at], i % 251 + 1);
}

static void test_objects_are_zeroed_and_apart(void **state)
{
    (void)state;
    srand(7);
    for (int i = 0; i < MOST; i++)
        fill(i, 1 + (size_t)rand() % 300);
    for (int round = 0; round < 60000; round++) {
        int i = rand() % MOST;
        check(i);
        slab_free(objects[i]);
        fill(i, 1 + (size_t)rand() % 300);
    }
    for (int i = 0; i < MOST; i++) {
        check(i);
        slab_free(objects[i]);
    }
}

static void test_pages_go_back_after_a_storm(void **state)
{
    (void)state;
    slab_trim(); /* of the test before */
    void *stays = slab_new(112);
    size_t before = slab_held();
    for (int i = 0; i < MOST; i++)
        objects[i] = slab_new(112);
    assert_true(slab_held() >= before + (size_t)MOST * 112 - 65536);
    assert_true(slab_held() <= before + (size_t)MOST * 112 * 102 / 100 + 65536);
    for (int i = 0; i < MOST; i++)
        slab_free(objects[(i * 7919) % MOST]);
    assert_true(slab_held() <= before + 65536);
    slab_trim();
    assert_int_equal(slab_held(), before);
    slab_free(stays);
}

static void test_sizes_up_to_the_largest(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SLAB_MOST; size += 97) {
        fill(0, size);
        fill(1, size);
        check(0);
        check(1);
        slab_free(objects[0]);
        slab_free(objects[1]);
    }
    fill(0, SLAB_MOST);
    check(0);
    slab_free(objects[0]);
    slab_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_zeroed_and_apart),
        cmocka_unit_test(test_pages_go_back_after_a_storm),
        cmocka_unit_test(test_sizes_up_to_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
