/* crowd: many WebSocket clients in one thread, who come in, listen, and say what they are told to.
 *
 * Every text carries who said it, a count, and when it was due; so each listener checks for itself
 * that nothing is lost, doubled or out of order, and how long it took. Client i is in room
 * i % rooms; the first SPEAKERS clients of a room are those who speak. Frames are masked with
 * zeroes. Anything unexpected of the machine (no socket, no memory) ends the program. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "dialect.h"
#include "histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CROWD_SPEAKERS = 4, CROWD_PORTS = 128 };

struct crowd_options {
    const struct dialect *dialect;
    int ports[CROWD_PORTS];
    int port_count;
    bool spread;  /* neighbours in a room connect to different ports; else a room has one port */
    bool proxied; /* a PROXY header gives each client an address of its own, of 198.51.0.0/16 */
    int source;   /* second byte of the clients' addresses: 127.SOURCE.x.y */
    int rooms;
    const char *room; /* beginning of their names, and of the clients' */
    int bytes;        /* of a text */
    int payload;      /* of a frame, where the dialect relays it as it is */
};

struct crowd_counts {
    int upgraded, inside, closed; /* closed: by the server */
    uint64_t expected;            /* deliveries of what was said while counting */
    uint64_t delivered, doubled, disordered;
    uint64_t skipped; /* texts that a listener missed although it got a later one */
    uint64_t refused; /* texts of which the server said that it did not take them, or cannot tell */
    uint64_t frame_bytes; /* payload of the delivered frames */
    uint64_t again;       /* how often a client had to ask once more to come in */
    uint64_t own;         /* texts that came back to who said them */
};

struct crowd;

struct crowd *crowd_new(const struct crowd_options *options, int most);
void crowd_free(struct crowd *crowd);

/* One more client connects and asks for the upgrade; one that is deaf never reads. */
void crowd_connect(struct crowd *crowd, bool deaf);

/* It comes in; must be upgraded. Dialects without a hello are in already. */
void crowd_come_in(struct crowd *crowd, int index);

/* Says goodbye where the dialect has a word for it (politely), and closes. */
void crowd_leave(struct crowd *crowd, int index, bool politely);

/* Forgets the clients who have left, so that others can come. All must have left. */
void crowd_empty(struct crowd *crowd);

/* The speaker says something in the room; `due_us` is when it should have. */
void crowd_say(struct crowd *crowd, int room, int speaker, int64_t due_us);

/* Reads what has come, waiting at most so long for it. */
void crowd_poll(struct crowd *crowd, int timeout_ms);

/* Sleeps so long, then reads what has come: for a crowd that is silent, and need not be woken for
 * each ping. */
void crowd_doze(struct crowd *crowd, int ms);

/* From here on texts are counted, and their latency goes to the histogram. */
void crowd_count(struct crowd *crowd, struct histogram *histogram);

const struct crowd_counts *crowd_counts(const struct crowd *crowd);

/* Writes to stderr how many did not hear the last that each speaker said, and when that was due. */
void crowd_tell_missing(const struct crowd *crowd);

#endif
