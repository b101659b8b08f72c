/* connections_world: a connection on a pair of sockets, with a real event loop; the program's clock
 * is the test's. */
#ifndef YUKIZURI_UNIT_CONNECTIONS_WORLD_H
#define YUKIZURI_UNIT_CONNECTIONS_WORLD_H

#include "websocket/connections.h"

enum {
    PING_S = 1,
    SILENCE_S = PING_S + 10,
    MAX_MESSAGE = 1000,
    MAX_FRAGMENTS = 8,
    MAX_UNSENT = 1 << 23,
};

extern struct stage {
    struct event_base *base;
    struct poller *poller;
    struct metrics metrics;
    struct connections *connections;
    struct connection *connection;
    int peer;
    char seen[2048]; /* what the owner was told: T(text) B(binary) P(ping) Q(pong) E(cause code) */
    bool answers_pings, closes_when_told;
} stage;

/* What `stage` is told by: for further connections. */
extern const struct connection_callbacks callbacks;
int make_pair(int sides[2]);

/* For cmocka. */
int set_up(void **state);
int tear_down(void **state);

/* Runs the loop until nothing is due; without waiting. */
void iterate(void);

/* Time passes second by second, and in each the wheel advances, without waiting for its timer. */
void pass(unsigned seconds);

/* The peer sends a frame with a mask of zeroes. */
void peer_sends(uint8_t first_byte, const char *payload, size_t len);
void peer_says(const char *text);

/* All that the peer can read now, up to the size of the buffer. */
size_t peer_reads(uint8_t *out, size_t size);

/* It can read this now, and nothing else. */
void assert_peer_gets(const char *expected, size_t expected_len);

/* Nothing is left to be read, and nothing will come. */
bool peer_sees_the_end(void);

#define ASSERT_PEER_GETS(literal) assert_peer_gets(literal, sizeof(literal) - 1)
#endif
