/* process_log: what a gateway says of itself in the log, in a line each: when it starts, what it
 * is, where it listens, where its Redis is, how it sends, and the limits in force (no secret is in
 * it); when it ends, why, what became of whoever was connected, and how long that took. */
#ifndef YUKIZURI_PROCESS_LOG_H
#define YUKIZURI_PROCESS_LOG_H

struct server;

void process_log_start(const struct server *server);

/* It begins to end, because of `why` (static, or NULL). Only the first reason counts. */
void process_log_reason(struct server *server, const char *why);

/* It has ended; to be called while those who are left are still connected. */
void process_log_stop(const struct server *server);

#endif
