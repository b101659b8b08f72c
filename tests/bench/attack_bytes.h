/* attack_bytes: what a socket sends in each attack of hostile.c. Knows no socket. */
#ifndef BENCH_ATTACK_BYTES_H
#define BENCH_ATTACK_BYTES_H

#include <stdbool.h>
#include <stddef.h>

enum {
    ATTACK_BYTES = 131072,
    ATTACK_HEAD = 16000,      /* bytes of an unfinished request */
    ATTACK_SAY_LINES = 100,   /* in each part */
    ATTACK_LOUD_LINES = 20,   /* in each part after the first */
    ATTACK_HANDSHAKES = 32,   /* in each part */
    ATTACK_FRAME_BYTES = 131, /* of a text of up to 125 bytes */
};

/* A socket begins with `first`; then come as many `rest` as the attack likes, if there is one. */
struct attack_bytes {
    char first[ATTACK_BYTES], rest[ATTACK_BYTES];
    size_t first_len, rest_len;
    char *room_at, *name_at; /* digits in `first`, one and four; or NULL */
};

/* False: there is no such attack. */
bool attack_bytes_make(struct attack_bytes *bytes, const char *attack);

/* From here on `first` is that of the socket with this number. */
void attack_bytes_set_number(const struct attack_bytes *bytes, int number);

/* Writes a text of up to 125 bytes as a frame that is masked with zeroes; returns its length. */
size_t attack_bytes_frame(char out[ATTACK_FRAME_BYTES], const char *text);

#endif
