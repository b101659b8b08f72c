#include "protocol/work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE_RAW_BYTES = 9, MAC_RAW_BYTES = 16, MAC_TEXT_BYTES = 23, ADDRESS_BYTES = 16 };

/* Of the part of a challenge that is before its hash. */
static void write_mac(const struct work_terms *terms, const char *stamp, size_t len,
                      char out[MAC_TEXT_BYTES])
{
    static const char purpose[] = "work ";
    uint8_t input[sizeof purpose - 1 + ADDRESS_BYTES + WORK_CHALLENGE_BYTES];
    uint8_t hash[DIGEST_SHA256_BYTES];
    memcpy(input, purpose, sizeof purpose - 1);
    memcpy(input + sizeof purpose - 1, terms->address, ADDRESS_BYTES);
    memcpy(input + sizeof purpose - 1 + ADDRESS_BYTES, stamp, len);
    digest_hmac(terms->key, input, sizeof purpose - 1 + ADDRESS_BYTES + len, hash);
    digest_base64url(hash, MAC_RAW_BYTES, out);
}

void work_make(const struct work_terms *terms, unsigned bits, char out[WORK_CHALLENGE_BYTES])
{
    uint8_t random[NONCE_RAW_BYTES];
    char nonce[16];
    char mac[MAC_TEXT_BYTES];
    digest_random(random, sizeof random);
    digest_base64url(random, sizeof random, nonce);
    int len = snprintf(out, WORK_CHALLENGE_BYTES, "%" PRId64 ".%u.%s.", terms->now_s, bits, nonce);
    write_mac(terms, out, (size_t)len, mac);
    memcpy(out + len, mac, sizeof mac);
}

static bool is_ours(const struct work_terms *terms, const char *challenge)
{
    char mac[MAC_TEXT_BYTES];
    const char *dot = strrchr(challenge, '.');
    if (dot == NULL || strlen(challenge) >= WORK_CHALLENGE_BYTES ||
        strlen(dot + 1) != MAC_TEXT_BYTES - 1)
        return false;
    write_mac(terms, challenge, (size_t)(dot + 1 - challenge), mac);
    unsigned differs = 0;
    for (size_t i = 0; i < sizeof mac; i++) /* in the same time, wherever they differ */
        differs |= (unsigned)(mac[i] ^ dot[1 + i]);
    return differs == 0;
}

static unsigned count_zero_bits(const uint8_t hash[DIGEST_SHA256_BYTES])
{
    unsigned count = 0;
    while (count < DIGEST_SHA256_BYTES * 8 && (hash[count / 8] & (0x80 >> count % 8)) == 0)
        count++;
    return count;
}

static bool is_solved(const char *challenge, unsigned bits, const char *work)
{
    char text[WORK_CHALLENGE_BYTES + WORK_BYTES];
    uint8_t hash[DIGEST_SHA256_BYTES];
    if (strlen(work) >= WORK_BYTES)
        return false;
    int len = snprintf(text, sizeof text, "%s:%s", challenge, work);
    digest_sha256(text, (size_t)len, hash);
    return count_zero_bits(hash) >= bits;
}

bool work_is_done(const struct work_terms *terms, unsigned bits, const char *challenge,
                  const char *work)
{
    if (!is_ours(terms, challenge))
        return false;
    char *rest;
    long long made_s = strtoll(challenge, &rest, 10);
    unsigned long there = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;
    return terms->now_s - made_s <= WORK_LIFE_S && made_s - terms->now_s <= WORK_AHEAD_S &&
           there >= bits && is_solved(challenge, (unsigned)there, work);
}
