/* The very source of slab, on a machine whose pages are 256 KB: the kernel's part is played by
 * functions that are as strict about addresses and lengths as it is there. */
#include "unit.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 262144, MOST = 5000, OBJECT_BYTES = 300, MOST_MAPPED = 64 };

static size_t mapped;
static char *all[MOST_MAPPED];
static size_t count;

static long ask_page_size(int name)
{
    assert_int_equal(name, _SC_PAGESIZE);
    return PAGE;
}

static void *map_pages(size_t len)
{
    size_t rounded = (len + PAGE - 1) / PAGE * PAGE;
    char *pages = aligned_alloc(PAGE, rounded);
    memset(pages, 0, rounded);
    assert_true(count < MOST_MAPPED);
    all[count++] = pages;
    mapped += rounded;
    return pages;
}

/* Memory is not given back here, and not used again: whoever touches it would find 0xdd. */
static int unmap_pages(void *address, size_t len)
{
    if ((uintptr_t)address % PAGE != 0 || len == 0 || len % PAGE != 0) {
        errno = EINVAL;
        fail_msg("munmap of %zu bytes, %zu beyond a page's beginning", len,
                 (size_t)((uintptr_t)address % PAGE));
    }
    memset(address, 0xdd, len);
    mapped -= len;
    return 0;
}

#define sysconf(name)                                     ask_page_size(name)
#define mmap(address, len, protection, flags, fd, offset) map_pages(len)
#define munmap(address, len)                              unmap_pages(address, len)
#define SLAB_UNWATCHED
#include "base/slab.c"

static unsigned char *objects[MOST];

static void test_on_a_machine_with_large_pages_all_that_is_taken_goes_back(void **state)
{
    (void)state;
    for (int i = 0; i < MOST; i++)
        memset(objects[i] = slab_new(OBJECT_BYTES), i % 251 + 1, OBJECT_BYTES);
    assert_int_equal(slab_held(), mapped);
    assert_true(mapped >= (size_t)MOST * OBJECT_BYTES);
    for (int i = 0; i < MOST; i++) {
        for (int at = 0; at < OBJECT_BYTES; at++)
            assert_int_equal(objects[i][at], i % 251 + 1);
        slab_free(objects[i]);
    }
    slab_trim();
    assert_int_equal(slab_held(), 0);
    assert_int_equal(mapped, 0);
    while (count > 0)
        free(all[--count]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_a_machine_with_large_pages_all_that_is_taken_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
