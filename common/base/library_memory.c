#include "base/library_memory.h"

#include "base/memory.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static void *resize(void *old, size_t size)
{
    return memory_resize(old, 1, size > 0 ? size : 1);
}

/* OpenSSL tells where it asks. */
static void *take_for_openssl(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return memory_take(size);
}

static void *resize_for_openssl(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return resize(old, size);
}

static void free_for_openssl(void *freed, const char *file, int line)
{
    (void)file;
    (void)line;
    free(freed);
}

void library_memory_take_over(library_memory_set *set_for_libevent)
{
    json_set_alloc_funcs(memory_take, free);
    set_for_libevent(memory_take, resize, free);
    int taken = CRYPTO_set_mem_functions(take_for_openssl, resize_for_openssl, free_for_openssl);
    assert(taken == 1);
    (void)taken;
}
