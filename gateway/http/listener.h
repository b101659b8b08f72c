/* doors: the sockets that people come in by: when somebody is accepted, how many at a time, and how
 * the sockets are closed without harm to those who have just come. Knows nothing of what happens to
 * whoever was accepted. */
#ifndef YUKIZURI_HTTP_LISTENER_H
#define YUKIZURI_HTTP_LISTENER_H

#include "config/address.h"
#include "config/config.h"
#include "telemetry/refusals.h"

#include <stdbool.h>
#include <stddef.h>

struct doors;
struct event_base;

struct doors_callbacks {
    /* Somebody has come; the socket is the callee's. */
    void (*on_come)(void *arg, int fd, const struct address *address);
    /* Is there so much to do that only one is to be accepted in this turn of the loop? */
    bool (*is_busy)(void *arg);
    /* Nobody can be accepted for a moment, and who comes waits: this is why. */
    void (*on_full)(void *arg, enum refusal reason);
};

/* Opens the addresses of `config`, which must outlive the doors; `shared`: others may listen there,
 * too. Nobody is accepted yet. NULL when one cannot be opened; `error` says which and why. */
struct doors *doors_open(struct event_base *base, const struct config *config, bool shared,
                         char *error, size_t error_size);

/* Who is asked and told; before the next call of any other function. */
void doors_set_callbacks(struct doors *doors, const struct doors_callbacks *callbacks, void *arg);

/* Accepts from now on; in a moment; not until the next call of these. */
void doors_watch(struct doors *doors);
void doors_watch_later(struct doors *doors);
void doors_look_away(struct doors *doors);

/* Those who want to connect are to try elsewhere (listener_turn_away). Does it once: afterwards a
 * path may be a successor's. */
void doors_turn_away(struct doors *doors);

/* Closes the sockets; `take`: accepts first who waits in their queues, whom closing would reset. */
void doors_close(struct doors *doors, bool take);

/* They must have been closed. NULL is fine. */
void doors_free(struct doors *doors);

#endif
