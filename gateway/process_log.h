/* process_log: the first and the last log line of a gateway. At the start: version, listeners,
 * Redis, how it sends, the limits in force; no secret. At the end: why, how many connections moved
 * or were cut, and how long that took. */
#ifndef YUKIZURI_PROCESS_LOG_H
#define YUKIZURI_PROCESS_LOG_H

struct server;

void process_log_start(const struct server *server);

/* To be called while those who are left are still connected. */
void process_log_stop(const struct server *server);

#endif
