#include "base/digest.h"

#include "base/stderr_line.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static void fill(uint8_t *at, size_t len)
{
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got <= 0) {
            stderr_line_print("getrandom: %s", strerror(errno));
            abort();
        }
        at += got;
        len -= (size_t)got;
    }
}

struct pool {
    size_t left;
    uint8_t bytes[4096 - sizeof(size_t)];
};

/* A page that is all zeroes in whoever forks off: the same bytes are not given out twice. */
static struct pool *new_pool(void)
{
    struct pool *pool =
        mmap(NULL, sizeof *pool, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool == MAP_FAILED || madvise(pool, sizeof *pool, MADV_WIPEONFORK) != 0) {
        stderr_line_print("a page for random bytes: %s", strerror(errno));
        abort();
    }
    return pool;
}

/* From a pool: a storm of people needs three small pieces for each. What was given out is wiped. */
void digest_random(void *out, size_t len)
{
    static struct pool *pool;
    if (pool == NULL)
        pool = new_pool();
    if (len > sizeof pool->bytes) {
        fill(out, len);
        return;
    }
    if (len > pool->left) {
        fill(pool->bytes, sizeof pool->bytes);
        pool->left = sizeof pool->bytes;
    }
    pool->left -= len;
    memcpy(out, pool->bytes + pool->left, len);
    memset(pool->bytes + pool->left, 0, len);
}

/* An algorithm looked up once: OpenSSL's one-call functions look it up each time, which costs more
 * than hashing a handshake's key. */
struct algorithm {
    EVP_MD *method;
    EVP_MD_CTX *context;
};

static void hash(struct algorithm *algorithm, const char *name, const void *data, size_t len,
                 uint8_t *out)
{
    if (algorithm->method == NULL) {
        algorithm->method = EVP_MD_fetch(NULL, name, NULL);
        algorithm->context = EVP_MD_CTX_new();
    }
    if (algorithm->method == NULL || algorithm->context == NULL ||
        EVP_DigestInit_ex2(algorithm->context, algorithm->method, NULL) != 1 ||
        EVP_DigestUpdate(algorithm->context, data, len) != 1 ||
        EVP_DigestFinal_ex(algorithm->context, out, NULL) != 1) {
        stderr_line_print("OpenSSL has no %s", name);
        abort();
    }
}

void digest_sha1(const void *data, size_t len, uint8_t out[DIGEST_SHA1_BYTES])
{
    static struct algorithm sha1;
    hash(&sha1, "SHA1", data, len, out);
}

void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_SHA256_BYTES])
{
    static struct algorithm sha256;
    hash(&sha256, "SHA256", data, len, out);
}

void digest_hmac(const uint8_t key[DIGEST_SHA256_BYTES], const void *data, size_t len,
                 uint8_t out[DIGEST_SHA256_BYTES])
{
    unsigned int size = DIGEST_SHA256_BYTES;
    HMAC(EVP_sha256(), key, DIGEST_SHA256_BYTES, data, len, out, &size);
}

static void encode(const uint8_t *data, size_t len, const char *alphabet, char *out)
{
    size_t at = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        if (i + 1 < len)
            group |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < len)
            group |= data[i + 2];
        out[at++] = alphabet[group >> 18];
        out[at++] = alphabet[group >> 12 & 63];
        if (i + 1 < len)
            out[at++] = alphabet[group >> 6 & 63];
        if (i + 2 < len)
            out[at++] = alphabet[group & 63];
    }
    out[at] = '\0';
}

void digest_base64(const uint8_t *data, size_t len, char *out)
{
    encode(data, len, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", out);
    size_t at = len / 3 * 4 + (len % 3 == 0 ? 0 : len % 3 + 1);
    while (at % 4 != 0)
        out[at++] = '=';
    out[at] = '\0';
}

void digest_base64url(const uint8_t *data, size_t len, char *out)
{
    encode(data, len, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", out);
}
