/* work: a proof of work that newcomers do before they join: SHA-256(challenge + ":" + work) begins
 * with so many zero bits. No gateway keeps a challenge: it has its time, its bits and a keyed hash
 * of both and of the address (as in Back, "Hashcash", 2002, with the server's stamp). Whoever has
 * the key can judge it; that it is used once is the caller's to see to. No I/O, no clock. */
#ifndef YUKIZURI_PROTOCOL_WORK_H
#define YUKIZURI_PROTOCOL_WORK_H

#include "base/digest.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WORK_CHALLENGE_BYTES = 80, /* with the NUL; a longer one is none */
    WORK_BYTES = 65,           /* of an answer, with the NUL */
    WORK_LIFE_S = 120,
    WORK_AHEAD_S = 10, /* clocks of gateways may differ by so much */
};

/* Whom a challenge is for. */
struct work_terms {
    const uint8_t *key;     /* DIGEST_SHA256_BYTES */
    const uint8_t *address; /* 16 bytes */
    int64_t now_s;
};

void work_make(const struct work_terms *terms, unsigned bits, char out[WORK_CHALLENGE_BYTES]);

/* Is it a challenge for this address, of at least so many bits and not too old, and is this the
 * answer to it? */
bool work_is_done(const struct work_terms *terms, unsigned bits, const char *challenge,
                  const char *work);

#endif
