#include "session/drain.h"

#include "base/clock.h"
#include "session/leave.h"
#include "session/session.h"
#include "websocket/connections.h"

enum { MOVE_MS = 500 }; /* for moving, once it is time to */

static void each_in(struct link *list, void (*step)(struct session *session, void *arg), void *arg)
{
    for (struct link *at = list->next; at != list; at = at->next)
        step(LIST_ITEM(at, struct session, in_entry), arg);
}

/* Calls `step` for each session; it must free none. */
static void each_session(struct sessions *all, void (*step)(struct session *session, void *arg),
                         void *arg)
{
    struct room_entry *entry;
    for (size_t at = 0; (entry = session_next_entry(all, &at)) != NULL;) {
        each_in(&entry->members, step, arg);
        each_in(&entry->visitors, step, arg);
    }
}

static void ask_to_move(struct session *session, unsigned after_ms)
{
    struct sessions *all = session->all;
    message_add_reconnect(&all->scratch, after_ms);
    session_send(session);
    all->moves.asked++;
    session->until_ms =
        clock_monotonic_ms() + after_ms + (all->options.config->drain > 0 ? MOVE_MS : 0);
}

/* How the reconnects are spread. */
struct spreading {
    uint64_t window_ms, count, index;
};

static void ask_next_to_move(struct session *session, void *arg)
{
    struct spreading *spreading = arg;
    if (session->connection != NULL)
        ask_to_move(session,
                    (unsigned)(spreading->window_ms * spreading->index++ / spreading->count));
}

void sessions_drain(struct sessions *all)
{
    size_t count = connections_count(all->options.connections);
    struct spreading spreading = {all->options.config->drain * 1000, count == 0 ? 1 : count, 0};
    all->draining = true;
    each_session(all, ask_next_to_move, &spreading);
}

static void close_if_due(struct session *session, void *arg)
{
    (void)arg;
    if (session->connection == NULL || connection_is_closing(session->connection))
        return;
    if (session->until_ms == 0) { /* it had connected before listening stopped */
        ask_to_move(session, 0);
    } else if (session->in_flight == 0 && session->until_ms <= clock_monotonic_ms()) {
        session->all->moves.closed++;
        connection_close(session->connection, 1012, "this gateway is going away");
    }
}

bool sessions_drain_tick(struct sessions *all)
{
    each_session(all, close_if_due, NULL);
    return connections_count(all->options.connections) == 0 && !session_has_pending_leaves(all);
}

static void count_left(struct session *session, void *arg)
{
    struct sessions_moves *moves = arg;
    moves->left += session->connection != NULL && !connection_is_closing(session->connection);
}

struct sessions_moves sessions_moves(struct sessions *all)
{
    struct sessions_moves moves = all->moves;
    each_session(all, count_left, &moves);
    return moves;
}
