/* digest: hashes, random bytes and their spellings; the only user of libcrypto. */
#ifndef YUKIZURI_BASE_DIGEST_H
#define YUKIZURI_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum {
    DIGEST_SHA1_BYTES = 20,
    DIGEST_SHA256_BYTES = 32,
    DIGEST_RANDOM_MOST = 256, /* getentropy gives no more at once */
};

/* Fills with at most DIGEST_RANDOM_MOST bytes from the kernel's generator; aborts when there are
 * none. For one thread. */
void digest_random(void *out, size_t len);

void digest_sha1(const void *data, size_t len, uint8_t out[DIGEST_SHA1_BYTES]);
void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_SHA256_BYTES]);

/* HMAC-SHA256 (RFC 2104). */
void digest_hmac(const uint8_t key[DIGEST_SHA256_BYTES], const void *data, size_t len,
                 uint8_t out[DIGEST_SHA256_BYTES]);

#define DIGEST_BASE64_BYTES(len) (((len) + 2) / 3 * 4 + 1)

/* Base64 with padding (RFC 4648 section 4); `out` holds DIGEST_BASE64_BYTES(len). */
void digest_base64(const void *data, size_t len, char *out);

/* Base64url without padding (RFC 4648 section 5) of at most DIGEST_SHA256_BYTES; `out` holds
 * ceil(len * 4 / 3) + 1 bytes. */
void digest_base64url(const void *data, size_t len, char *out);

#endif
