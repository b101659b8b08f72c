/* delivery_time: how long it took until what was said was sent to all members here. */
#ifndef YUKIZURI_SESSION_DELIVERY_TIME_H
#define YUKIZURI_SESSION_DELIVERY_TIME_H

#include <stdint.h>

struct session;
struct sessions;

/* What the session said, and what came at `begun_us` (monotonic; 0: not known), is number `seq`. */
void session_await_delivery(struct session *session, uint64_t seq, int64_t begun_us);
void session_forget_deliveries(struct sessions *all);

/* To be called at the end of each iteration of the loop: what is delivered by now is measured. */
void sessions_end_iteration(struct sessions *all);

#endif
