/* service: what the service manager that started this process gave it, in systemd's protocols: a
 * socket to tell it how things are (sd_notify(3)), a watchdog to feed (sd_watchdog_enabled(3)), and
 * listening sockets that it has opened (sd_listen_fds(3)). Does nothing where there is no manager.
 *
 * Owns the socket to the manager, not the listening ones, which stay open as long as the process.
 * Never waits: what the manager does not take at once is dropped. Calls nobody back. */
#ifndef YUKIZURI_BASE_SERVICE_H
#define YUKIZURI_BASE_SERVICE_H

#include <stddef.h>
#include <stdint.h>

enum { SERVICE_SOCKETS = 16 };

struct service;

struct service_sockets {
    int fds[SERVICE_SOCKETS]; /* non-blocking, listening, of streams */
    size_t count;
};

/* Takes what the manager gave out of the environment, since a child of this process is not the
 * service. To be called before anything is opened. NULL with a sentence in `error`: the sockets are
 * none to listen on. */
struct service *service_take(char *error, size_t error_size);

/* For a child after a fork: it has the same sockets and watchdog, and tells `fd`, a connected
 * datagram socket, which becomes its own. */
struct service *service_of_child(const struct service *parent, int fd);

/* Here and below, NULL is no manager. */
void service_free(struct service *service);

/* Live as long as `service`. */
const struct service_sockets *service_sockets(const struct service *service);

/* After so many ms without a word the manager ends the process; 0: never. */
int64_t service_watchdog_ms(const struct service *service);

/* READY=1: it serves. Once. */
void service_ready(struct service *service);

/* STOPPING=1: it will end. Once. */
void service_stopping(struct service *service);

/* STATUS=: a line for people, sent when it is another one than before. */
void service_status(struct service *service, const char *line);

/* WATCHDOG=1, three times in the watchdog's span: to be called from a loop that turns, once a
 * second. */
void service_tick(struct service *service, int64_t now_ms);

#endif
