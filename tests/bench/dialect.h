/* dialect: how a server wants to be spoken to. Every dialect fans the same text out to everybody in
 * a room, the sender included; they differ in the handshake, in how one comes in, and in what goes
 * around the text. */
#ifndef BENCH_DIALECT_H
#define BENCH_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

struct dialect {
    const char *name;
    const char *path;    /* of the handshake; %s is the room */
    const char *headers; /* further ones, each ended by CRLF */
    bool binary;         /* data frames are binary */
    bool packs;          /* a frame may hold many texts */
    /* A word in the frame after which a member may say its hello, NULL: at once. */
    const char *greeting;
    /* What a member says to come in (%s room, %d its number), NULL: nothing. */
    const char *hello;
    /* A word in the frame that says it is in; NULL: with the handshake, or with the greeting. */
    const char *welcome;
    const char *again;   /* the beginning of the frame after which the hello is said once more */
    const char *refusal; /* the beginning of the frame that refuses a text, or NULL */
    /* What stands around a text. %s is the room; the text is cut so that the whole has `payload`
     * bytes, or takes what --bytes says where `payload` is 0. */
    const char *before, *after;
    /* The length of the text stands between `before` and the text, and this between the two. */
    const char *after_length;
    /* The server asks for a word now and then: what it asks, and the answer. */
    const char *ask, *answer;
    const char *leave; /* what a member says to go at once, NULL: it just closes */
    bool relays;       /* what is said arrives as it is, so it must be as long as a frame of ours */
};

/* NULL when there is none of that name. */
const struct dialect *dialect_find(const char *name);

#endif
