#include "session/leave.h"

#include "base/memory.h"
#include "session/close_log.h"
#include "session/grace_clock.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

/* One call of leave.lua: pending leaves of one room. */
struct leave_call {
    struct room_entry *entry;
    size_t count;
    struct pending_leave *pending_leaves[COMMANDS_LEAVE_MOST];
};

static void free_pending_leave(struct pending_leave *leave)
{
    list_remove(&leave->link);
    rooms_release(leave->entry->room);
    free(leave->identity);
    free(leave);
}

static void note_answer(struct pending_leave *leave)
{
    if (--leave->rounds > 0)
        return;
    if (leave->spared[0] == '\0') {
        free_pending_leave(leave);
        return;
    }
    leave->spared[0] = '\0'; /* and once more after the grace */
    leave->rounds = 1;
}

static void on_answered(void *arg, const struct redis_reply *reply)
{
    struct leave_call *call = arg;
    bool failed = redis_reply_is_error(reply);
    for (size_t i = 0; i < call->count; i++) {
        call->pending_leaves[i]->under_way = false;
        if (!failed) /* else session_retry_pending_leaves tries again */
            note_answer(call->pending_leaves[i]);
    }
    free(call);
}

static void send_leaves(struct leave_call *call)
{
    struct commands_leave leaves[COMMANDS_LEAVE_MOST];
    for (size_t i = 0; i < call->count; i++) {
        const struct pending_leave *leave = call->pending_leaves[i];
        leaves[i] = (struct commands_leave){session_bus_member(leave->all, leave->identity),
                                            leave->said, leave->spared};
    }
    if (commands_leave(room_topic(call->entry->room), leaves, call->count, on_answered, call) != 0)
        on_answered(call, NULL);
}

static void make_leave_call(void *arg)
{
    struct leave_call *call = arg;
    if (call->entry->leaves == call)
        call->entry->leaves = NULL;
    send_leaves(call);
}

static struct leave_call *new_leave_call(struct room_entry *entry)
{
    struct leave_call *call = memory_new(sizeof *call);
    call->entry = entry;
    return call;
}

static void add_to_call(struct leave_call *call, struct pending_leave *leave)
{
    call->pending_leaves[call->count++] = leave;
    leave->under_way = true;
    call->entry->joins =
        NULL; /* who asks for this name from here on asks later, and finds it free */
}

/* After everything that was asked before: a call that puts this very member back may wait. */
static void say_alone(struct pending_leave *leave)
{
    struct leave_call *call = new_leave_call(leave->entry);
    add_to_call(call, leave);
    send_leaves(call);
}

/* With others of the room, in a call that stands in line, or in a new one. */
static void queue_pending_leave(struct pending_leave *leave)
{
    struct room_entry *entry = leave->entry;
    if (entry->leaves == NULL || entry->leaves->count == COMMANDS_LEAVE_MOST) {
        struct leave_call *call = new_leave_call(entry);
        if (broker_enqueue(leave->all->options.broker, make_leave_call, call) != 0) {
            free(call);
            return; /* session_retry_pending_leaves tries again */
        }
        entry->leaves = call;
    }
    add_to_call(entry->leaves, leave);
}

/* Takes the session's identity over. */
static struct pending_leave *new_pending_leave(struct session *session)
{
    struct pending_leave *leave = memory_new(sizeof *leave);
    leave->all = session->all;
    leave->entry = session->entry;
    rooms_hold(leave->entry->room);
    leave->identity = session->identity;
    leave->rounds = 1;
    session->identity = NULL;
    list_init(&leave->link);
    list_add(&session->all->pending_leaves, &leave->link);
    return leave;
}

void session_leave(struct session *session, bool said)
{
    session->all->options.metrics->leaves++;
    session_log(session, "leave", said ? NULL : session_lost_word(session));
    session_end(session);
    if (session->connection != NULL) /* a visitor again, who may join anew */
        session->state = SESSION_VISITING;
    struct pending_leave *leave = new_pending_leave(session);
    leave->said = said;
    if (session->in_flight > 0)
        say_alone(leave);
    else
        queue_pending_leave(leave);
}

/* Twice: should the connection to Redis have been replaced, the join may still be on its way
 * through the old one when the first answer comes. */
void session_retract(struct session *session)
{
    struct sessions *all = session->all;
    struct pending_leave *leave = new_pending_leave(session);
    leave->rounds = 2;
    if (session->joining != NULL && session->joining->shown.id[0] != '\0') {
        memcpy(leave->spared, session->joining->shown.id, sizeof leave->spared);
        leave->until_ms =
            session_grace_clock(all) + (int64_t)all->options.config->leave_grace * 1000;
    }
    queue_pending_leave(leave);
}

static bool is_due(const struct sessions *all, const struct pending_leave *leave)
{
    bool spares = leave->spared[0] != '\0';
    return !leave->under_way && (spares || session_grace_clock(all) >= leave->until_ms);
}

void session_retry_pending_leaves(struct sessions *all)
{
    struct link *next;
    if (!broker_is_up(all->options.broker))
        return;
    for (struct link *at = all->pending_leaves.next; at != &all->pending_leaves; at = next) {
        struct pending_leave *leave = LIST_ITEM(at, struct pending_leave, link);
        next = at->next;
        if (is_due(all, leave))
            queue_pending_leave(leave);
    }
}

bool session_has_pending_leaves(const struct sessions *all)
{
    for (struct link *at = all->pending_leaves.next; at != &all->pending_leaves; at = at->next)
        if (LIST_ITEM(at, struct pending_leave, link)->under_way)
            return broker_is_up(all->options.broker);
    return false;
}

void session_free_pending_leaves(struct sessions *all)
{
    while (!list_is_empty(&all->pending_leaves))
        free_pending_leave(LIST_ITEM(all->pending_leaves.next, struct pending_leave, link));
}
