#include "base/digest.h"

#include "base/stderr_line.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Random bytes that are not used yet. A system call for each piece, or OpenSSL's generator, would
 * be a twentieth of a join, and more of a line that is said alone in its room. */
static struct {
    bool guarded;
    size_t left;
    uint8_t bytes[DIGEST_RANDOM_MOST];
} pool;

/* In whoever forks off: the same bytes are not used twice. */
static void forget_pool(void)
{
    pool.left = 0;
    memset(pool.bytes, 0, sizeof pool.bytes);
}

static void fill_pool(void)
{
    if (!pool.guarded)
        pool.guarded = pthread_atfork(NULL, NULL, forget_pool) == 0;
    if (!pool.guarded || getentropy(pool.bytes, sizeof pool.bytes) != 0) {
        stderr_line_print("no random bytes: %s", strerror(errno));
        abort();
    }
    pool.left = sizeof pool.bytes;
}

/* What is used is wiped. */
void digest_random(void *out, size_t len)
{
    assert(len <= sizeof pool.bytes);
    if (len > pool.left)
        fill_pool();
    pool.left -= len;
    memcpy(out, pool.bytes + pool.left, len);
    memset(pool.bytes + pool.left, 0, len);
}

/* An algorithm looked up once: OpenSSL's one-call functions look it up each time, which costs more
 * than hashing a handshake's key. */
struct algorithm {
    EVP_MD *method;
    EVP_MD_CTX *context;
};

static void fail(const char *name)
{
    stderr_line_print("OpenSSL has no %s", name);
    abort();
}

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
        EVP_DigestFinal_ex(algorithm->context, out, NULL) != 1)
        fail(name);
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
    if (HMAC(EVP_sha256(), key, DIGEST_SHA256_BYTES, data, len, out, &size) == NULL)
        fail("HMAC");
}

void digest_base64(const void *data, size_t len, char *out)
{
    EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

void digest_base64url(const void *data, size_t len, char *out)
{
    char padded[DIGEST_BASE64_BYTES(DIGEST_SHA256_BYTES)];
    assert(len <= DIGEST_SHA256_BYTES);
    digest_base64(data, len, padded);
    padded[strcspn(padded, "=")] = '\0';
    for (char *at = padded; (at = strpbrk(at, "+/")) != NULL;)
        *at = *at == '+' ? '-' : '_';
    memcpy(out, padded, strlen(padded) + 1);
}
