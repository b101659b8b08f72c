/* service_notify: tells the service manager that started this process how it is, in systemd's
 * protocol (sd_notify(3)): a datagram for each change, to the socket that NOTIFY_SOCKET names. Does
 * nothing where there is none.
 *
 * Owns the socket. Never waits: what the manager does not take at once is dropped. Calls nobody
 * back. */
#ifndef YUKIZURI_BASE_SERVICE_NOTIFY_H
#define YUKIZURI_BASE_SERVICE_NOTIFY_H

#include <stdint.h>

struct service_notify;

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment: a child of this
 * process is not the service. */
struct service_notify *service_notify_new(void);

/* Here and below, NULL is nobody to tell. */
void service_notify_free(struct service_notify *notify);

/* READY=1: it serves. Once. */
void service_notify_ready(struct service_notify *notify);

/* STOPPING=1: it will end. Once. */
void service_notify_stopping(struct service_notify *notify);

/* STATUS=: a line for people, sent when it is another one than before. */
void service_notify_status(struct service_notify *notify, const char *line);

/* WATCHDOG=1, as often as the manager wants it and not more: to be called from a loop that turns,
 * once a second. */
void service_notify_tick(struct service_notify *notify, int64_t now_ms);

#endif
