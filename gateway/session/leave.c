#include "session/leave.h"

#include "base/memory.h"
#include "session/close_log.h"
#include "session/grace_clock.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

/* One call of leave.lua: farewells of one room. */
struct leave_call {
    struct room_entry *entry;
    size_t count;
    struct farewell *farewells[COMMANDS_LEAVE_MOST];
};

static void free_farewell(struct farewell *farewell)
{
    list_remove(&farewell->link);
    room_release(farewell->entry->room);
    free(farewell->identity);
    free(farewell);
}

static void note_answer(struct farewell *farewell)
{
    if (--farewell->rounds > 0)
        return;
    if (farewell->spared[0] == '\0') {
        free_farewell(farewell);
        return;
    }
    farewell->spared[0] = '\0'; /* and once more after the grace */
    farewell->rounds = 1;
}

static void on_answered(void *arg, const struct redis_reply *reply)
{
    struct leave_call *call = arg;
    bool failed = redis_reply_is_error(reply);
    for (size_t i = 0; i < call->count; i++) {
        call->farewells[i]->under_way = false;
        if (!failed) /* else session_repeat_farewells tries again */
            note_answer(call->farewells[i]);
    }
    free(call);
}

static void send_leaves(struct leave_call *call)
{
    struct commands_leave leaves[COMMANDS_LEAVE_MOST];
    for (size_t i = 0; i < call->count; i++) {
        const struct farewell *farewell = call->farewells[i];
        leaves[i] = (struct commands_leave){session_bus_member(farewell->all, farewell->identity),
                                            farewell->said, farewell->spared};
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

static void add_to_call(struct leave_call *call, struct farewell *farewell)
{
    call->farewells[call->count++] = farewell;
    farewell->under_way = true;
    call->entry->joins =
        NULL; /* who asks for this name from here on asks later, and finds it free */
}

/* After everything that was asked before: a call that puts this very member back may wait. */
static void say_alone(struct farewell *farewell)
{
    struct leave_call *call = new_leave_call(farewell->entry);
    add_to_call(call, farewell);
    send_leaves(call);
}

/* With others of the room, in a call that stands in line, or in a new one. */
static void queue_farewell(struct farewell *farewell)
{
    struct room_entry *entry = farewell->entry;
    if (entry->leaves == NULL || entry->leaves->count == COMMANDS_LEAVE_MOST) {
        struct leave_call *call = new_leave_call(entry);
        if (bus_await_turn(farewell->all->options.bus, make_leave_call, call) != 0) {
            free(call);
            return; /* session_repeat_farewells tries again */
        }
        entry->leaves = call;
    }
    add_to_call(entry->leaves, farewell);
}

/* Takes the session's identity over. */
static struct farewell *new_farewell(struct session *session)
{
    struct farewell *farewell = memory_new(sizeof *farewell);
    farewell->all = session->all;
    farewell->entry = session->entry;
    room_hold(farewell->entry->room);
    farewell->identity = session->identity;
    farewell->rounds = 1;
    session->identity = NULL;
    list_init(&farewell->link);
    list_add(&session->all->farewells, &farewell->link);
    return farewell;
}

void session_leave(struct session *session, bool said)
{
    session->all->options.metrics->leaves++;
    session_log(session, "leave", said ? NULL : session_lost_word(session));
    session_end(session);
    if (session->connection != NULL) /* a visitor again, who may join anew */
        session->state = SESSION_VISITING;
    struct farewell *farewell = new_farewell(session);
    farewell->said = said;
    if (session->in_flight > 0)
        say_alone(farewell);
    else
        queue_farewell(farewell);
}

/* Twice: should the connection to Redis have been replaced, the join may still be on its way
 * through the old one when the first answer comes. */
void session_retract(struct session *session)
{
    struct sessions *all = session->all;
    struct farewell *farewell = new_farewell(session);
    farewell->rounds = 2;
    if (session->joining != NULL && session->joining->shown.id[0] != '\0') {
        memcpy(farewell->spared, session->joining->shown.id, sizeof farewell->spared);
        farewell->until_ms =
            session_grace_clock(all) + (int64_t)all->options.config->leave_grace * 1000;
    }
    queue_farewell(farewell);
}

static bool is_due(const struct sessions *all, const struct farewell *farewell)
{
    bool spares = farewell->spared[0] != '\0';
    return !farewell->under_way && (spares || session_grace_clock(all) >= farewell->until_ms);
}

void session_repeat_farewells(struct sessions *all)
{
    struct link *next;
    if (!bus_is_up(all->options.bus))
        return;
    for (struct link *at = all->farewells.next; at != &all->farewells; at = next) {
        struct farewell *farewell = LIST_ITEM(at, struct farewell, link);
        next = at->next;
        if (is_due(all, farewell))
            queue_farewell(farewell);
    }
}

bool session_says_farewells(const struct sessions *all)
{
    for (struct link *at = all->farewells.next; at != &all->farewells; at = at->next)
        if (LIST_ITEM(at, struct farewell, link)->under_way)
            return bus_is_up(all->options.bus);
    return false;
}

void session_free_farewells(struct sessions *all)
{
    while (!list_is_empty(&all->farewells))
        free_farewell(LIST_ITEM(all->farewells.next, struct farewell, link));
}
