/* http_stage: the HTTP side of a gateway, for tests that speak in bytes: a request goes in on one
 * end of a pair of sockets, an answer comes out. The test says from which address somebody comes,
 * and moves the clock. Redis is away.
 *
 * All parts are the program's own; only this file knows how they are put together. One stage at a
 * time. What a function returns as text is valid until the next call of the same function. */
#ifndef YUKIZURI_HTTP_STAGE_H
#define YUKIZURI_HTTP_STAGE_H

#include <stdbool.h>
#include <stddef.h>

/* --- The gateway --- */

/* Opens it with the default settings. The echo endpoint is /echo. */
void stage_open(void);

/* With these settings as on a command line, up to a NULL: "--origin", "https://a.example". */
void stage_open_with(const char *setting, ...) __attribute__((sentinel));

/* Where no more than so many sockets can be had. */
void stage_open_with_sockets(unsigned sockets);

/* With a scripted Redis (fake_redis.h) instead of none, which is reached when this returns. Nobody
 * is let in before stage_admit. */
struct fake_redis;
struct fake_redis *stage_open_with_redis(void);
void stage_admit(void);

/* What a gateway knows of itself and of its Redis: a test may say otherwise. */
struct metrics;
struct metrics *stage_metrics(void);

/* Does nothing when it is closed. */
void stage_close(void);

/* stage_open before a test of cmocka's, and stage_close after it; both return 0. */
int stage_setup(void **state);
int stage_teardown(void **state);

/* Closes it; what it has logged. */
const char *stage_close_for_log(void);

/* Runs the loop until that holds, for 10 s at most by the clock on the wall: what follows from
 * connections that are made and lost. It may call everything here. */
void stage_run_until(bool (*holds)(void));

/* So many seconds pass, one after the other. */
void stage_pass(unsigned seconds);

/* /readyz says that it is going away; and it ends each connection with its answer. */
void stage_announce_drain(void);
void stage_drain(void);

/* --- Visitors --- */

/* Somebody has connected from this address ("local": through a unix socket). Returns the visitor's
 * end of the connection, which stage_close closes at the latest. */
int stage_visit(const char *address);

/* Somebody has connected, and the kernel takes no more than some KiB of an answer at a time. */
int stage_visit_narrow(const char *address);

/* Somebody has connected where a PROXY header comes first; the address is the proxy's. */
int stage_visit_proxied(const char *address);

/* The visitor sends; the gateway has read it when this returns. False: nobody takes it any more. */
bool stage_send(int visitor, const char *text);
bool stage_send_bytes(int visitor, const void *data, size_t len);

/* All that has come for the visitor since the last time, when nothing more comes by itself. */
struct stage_bytes {
    const char *data; /* and a NUL */
    size_t len;
    bool ended; /* and that was the end, in good order */
    bool reset; /* and then the connection was reset */
};
struct stage_bytes stage_receive(int visitor);
const char *stage_receive_text(int visitor);

/* Has the gateway ended the connection? What came is thrown away. */
bool stage_is_ended(int visitor);

void stage_leave(int visitor);

/* Somebody comes, sends one request, and goes. */
struct stage_bytes stage_ask(const char *address, const char *request);

/* The same from a fair visitor: 203.0.113.1, HTTP/1.1, of host `x`. `headers` are whole lines. */
struct stage_bytes stage_get(const char *target, const char *headers);

/* --- Answers --- */

/* The status of the first answer; 0 when there is none. */
int stage_status(struct stage_bytes bytes);

/* The statuses of all answers that stand one after the other, such as "200 404"; "?" ends the list
 * where something stands that is none, or where one is cut off. */
const char *stage_statuses(struct stage_bytes bytes);

/* The value of a header of the first answer; NULL when it is not there. */
const char *stage_header(struct stage_bytes bytes, const char *name);

/* The body of the first answer. */
struct stage_bytes stage_body(struct stage_bytes bytes);

#endif
