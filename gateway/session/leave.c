#include "session/leave.h"

#include "base/memory.h"
#include "session/grace_clock.h"
#include "session/log.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

/* A leave that Redis has not answered yet. It is repeated until it is: a member whose leave was
 * lost would keep its name, and nobody would see it go. Holds all it needs: the session may be
 * gone. */
struct pending_leave {
    struct link link; /* all of them */
    struct room_entry *entry;
    struct identity *identity;
    bool on_purpose;             /* the token ends */
    bool under_way;              /* it is in a call that is queued, or waits for its answer */
    unsigned rounds;             /* answers still wanted: 2 for a join whose outcome is not known */
    char spared[TOKEN_ID_BYTES]; /* who came back: stays for the grace; "" for nobody */
    int64_t until_ms;            /* end of that grace (session_grace_clock) */
};

/* One call of leave.lua: pending leaves of one room. */
struct leave_call {
    struct room_entry *entry;
    size_t count;
    struct pending_leave *leaves[COMMANDS_LEAVE_MOST];
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

static void on_leave_reply(void *arg, const struct redis_reply *reply)
{
    struct leave_call *call = arg;
    bool failed = redis_reply_is_error(reply);
    for (size_t i = 0; i < call->count; i++) {
        call->leaves[i]->under_way = false;
        if (!failed) /* else session_retry_pending_leaves tries again */
            note_answer(call->leaves[i]);
    }
    free(call);
}

static void make_leave_call(void *arg)
{
    struct leave_call *call = arg;
    struct commands_leave leaves[COMMANDS_LEAVE_MOST];
    if (call->entry->leaves == call)
        call->entry->leaves = NULL;
    for (size_t i = 0; i < call->count; i++) {
        const struct pending_leave *leave = call->leaves[i];
        leaves[i] =
            (struct commands_leave){session_commands_member(call->entry->all, leave->identity),
                                    leave->on_purpose, leave->spared};
    }
    if (commands_leave(room_topic(call->entry->room), leaves, call->count, on_leave_reply, call) !=
        0)
        on_leave_reply(call, NULL);
}

/* With others of the room, in a call that is queued, or in a new one. */
static void enqueue_pending_leave(struct pending_leave *leave)
{
    struct room_entry *entry = leave->entry;
    struct leave_call *call = entry->leaves;
    if (call == NULL || call->count == COMMANDS_LEAVE_MOST) {
        call = memory_new(sizeof *call);
        call->entry = entry;
        if (limiter_enqueue(broker_commands(entry->all->options.broker)->limiter,
                            room_topic(entry->room)->channel.text, make_leave_call, call) != 0) {
            free(call);
            return; /* session_retry_pending_leaves tries again */
        }
        entry->leaves = call;
    }
    call->leaves[call->count++] = leave;
    leave->under_way = true;
    entry->joins = NULL; /* who asks for this name from here on asks later, and finds it free */
}

/* Takes the session's identity over. */
static struct pending_leave *new_pending_leave(struct session *session)
{
    struct pending_leave *leave = memory_new(sizeof *leave);
    leave->entry = session->entry;
    rooms_hold(leave->entry->room);
    leave->identity = session->identity;
    leave->rounds = 1;
    session->identity = NULL;
    list_init(&leave->link);
    list_add(&session->all->pending_leaves, &leave->link);
    return leave;
}

void session_leave(struct session *session, bool on_purpose)
{
    session->all->options.metrics->leaves++;
    session_log(session, "leave", on_purpose ? NULL : session_lost_word(session));
    session_end(session);
    if (session->connection != NULL) /* a visitor again, who may join again */
        session->state = SESSION_VISITING;
    struct pending_leave *leave = new_pending_leave(session);
    leave->on_purpose = on_purpose;
    if (session->in_flight > 0) /* perhaps a call that reinstates it is queued: not before that */
        session->entry->leaves = NULL;
    enqueue_pending_leave(leave);
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
    enqueue_pending_leave(leave);
}

void session_retry_pending_leaves(struct sessions *all)
{
    struct link *next;
    if (!broker_is_up(all->options.broker))
        return;
    for (struct link *at = all->pending_leaves.next; at != &all->pending_leaves; at = next) {
        struct pending_leave *leave = LIST_ITEM(at, struct pending_leave, link);
        next = at->next;
        bool in_grace = leave->spared[0] == '\0' && session_grace_clock(all) < leave->until_ms;
        if (!leave->under_way && !in_grace)
            enqueue_pending_leave(leave);
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
