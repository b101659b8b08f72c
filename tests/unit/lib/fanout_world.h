/* fanout_world: the subscribers of a room on real sockets (pairs), with a real event loop. */
#ifndef YUKIZURI_UNIT_FANOUT_WORLD_H
#define YUKIZURI_UNIT_FANOUT_WORLD_H

#include "room/batch_send.h"
#include "room/fanout.h"
#include "room/subscribers.h"
#include "websocket/connections.h"

enum { MOST = 600 };

extern struct stage {
    struct event_base *base;
    struct poller *poller;
    struct batch_send *sender;
    struct metrics metrics;
    struct connections *connections;
    struct fanout *fanout;
    struct room_log *log;
    struct subscribers *subscribers;
    struct connection *members[MOST];
    int peers[MOST];
    int count;
    int type; /* of the sockets: with SOCK_SEQPACKET a read gives what one send has sent */
    uint64_t seq, served_to;
} stage;

/* What a member is sent who says something. */
extern char large[5000];

/* For the subscribers: notes served_to. */
void on_served(void *owner, uint64_t limit);

/* Through io_uring, where the kernel has it; or not. */
void set_up(bool uring);
void tear_down(void);

/* A member comes in who gets what is in the log from there on: its index. */
int come(uint64_t position);

/* The same of one who gets compressed frames. */
int come_deflated(uint64_t position);

/* Everybody is told. */
void say(const char *text);

/* A single iteration of the loop. */
void loop_once(void);

/* Until nothing is due any more. */
void iterate(void);

/* What a peer has received: the payloads of small frames, one after the other. */
const char *received(int index);

/* Reads a large part of what a slow member has; returns how many bytes. */
size_t drain(int index);

#endif
