/* identity: who a member is, in one block of memory: there are as many as members, and each of them
 * has a share of the gateway's memory. Immutable but for what Redis decides: id, hash and floor. */
#ifndef YUKIZURI_SESSION_IDENTITY_H
#define YUKIZURI_SESSION_IDENTITY_H

#include "protocol/token.h"

#include <assert.h>
#include <stdint.h>

enum { IDENTITY_EPOCH_BYTES = 13 }; /* an epoch that a gateway made, with the NUL */

struct identity {
    uint64_t number;  /* of this session at this gateway */
    int64_t asked_ms; /* when it asked to come in; monotonic */
    uint64_t floor;   /* may see what came after */
    char floor_epoch[IDENTITY_EPOCH_BYTES];
    char id[TOKEN_ID_BYTES];     /* "" before Redis has decided */
    char hash[TOKEN_HASH_BYTES]; /* of the resume token */
    uint16_t name_at, shown_at, mark_at;
    char strings[]; /* the folded name, then those */
};

static_assert(sizeof(struct identity) <= 80, "each member has one");

struct identity_parts {
    uint64_t number;
    int64_t asked_ms;
    const char *name, *folded;
    const char *shown; /* the address that others see, "" for none */
    const char *mark;  /* of the address */
};

/* Copies everything; id and hash are "". The caller frees it. */
struct identity *identity_new(const struct identity_parts *parts);

/* The number of the last event that it may not see, and in which epoch. */
void identity_set_floor(struct identity *identity, uint64_t floor, const char *epoch);

const char *identity_name(const struct identity *identity);
const char *identity_folded(const struct identity *identity);
const char *identity_shown(const struct identity *identity);
const char *identity_mark(const struct identity *identity);

/* As others see it; the caller frees it. Redis has decided on the id. */
char *identity_person_json(const struct identity *identity);

#endif
