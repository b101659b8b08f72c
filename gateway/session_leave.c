/* Leaving, so that Redis surely hears of it. */
#include "session_internal.h"

#include "memory.h"
#include "slab.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CALLS = 4 /* under way: meanwhile others gather for the next ones */ };

/* One call of leave.lua: farewells of one room. */
struct leave_call {
    struct sessions *all;
    size_t count;
    struct farewell *farewells[];
};

static void free_farewell(struct farewell *farewell)
{
    list_remove(&farewell->link);
    list_remove(&farewell->in_place);
    if (list_is_empty(&farewell->place->farewells))
        list_remove(&farewell->place->in_partings);
    rooms_put(farewell->place);
    slab_free(farewell->identity);
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

static void end_call(struct leave_call *call, const struct redis_reply *reply)
{
    bool failed = redis_reply_is_error(reply);
    call->all->leave_calls--;
    for (size_t i = 0; i < call->count; i++) {
        call->farewells[i]->under_way = false;
        if (!failed) /* else session_repeat_farewells tries again */
            note_answer(call->farewells[i]);
    }
    free(call);
}

static void on_answered(void *arg, const struct redis_reply *reply)
{
    struct leave_call *call = arg;
    struct sessions *all = call->all;
    end_call(call, reply);
    session_say_some_farewells(all);
}

/* Takes the first ones out of the place's queue, as many as fit into a call. */
static struct leave_call *new_call(struct sessions *all, struct place *place)
{
    size_t count = 0;
    for (struct link *at = place->farewells.next; at != &place->farewells; at = at->next)
        if (++count == BUS_LEAVE_MOST)
            break;
    struct leave_call *call = memory_new(sizeof *call + count * sizeof call->farewells[0]);
    call->all = all;
    while (call->count < count) {
        struct farewell *farewell = LIST_ITEM(place->farewells.next, struct farewell, in_place);
        list_remove(&farewell->in_place);
        call->farewells[call->count++] = farewell;
    }
    return call;
}

static void say_first_farewells(struct sessions *all, struct place *place)
{
    struct bus_leave leaves[BUS_LEAVE_MOST];
    struct leave_call *call = new_call(all, place);
    for (size_t i = 0; i < call->count; i++) {
        const struct farewell *farewell = call->farewells[i];
        leaves[i] = (struct bus_leave){session_bus_member(all, farewell->identity), farewell->said,
                                       farewell->spared};
    }
    all->leave_calls++;
    if (bus_leave(place->feed, leaves, call->count, on_answered, call) != 0)
        end_call(call, NULL);
}

void session_say_farewells(struct sessions *all, struct place *place)
{
    list_remove(&place->in_partings);
    while (!list_is_empty(&place->farewells))
        say_first_farewells(all, place);
}

void session_say_some_farewells(struct sessions *all)
{
    while (all->leave_calls < MOST_CALLS && !list_is_empty(&all->partings)) {
        struct place *place = LIST_ITEM(all->partings.next, struct place, in_partings);
        list_remove(&place->in_partings);
        say_first_farewells(all, place);
        if (!list_is_empty(&place->farewells))
            list_add(&all->partings, &place->in_partings);
    }
}

void session_on_turn_end(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    session_say_some_farewells(arg);
}

/* With others who leave the room, at the end of the turn. */
static void queue_farewell(struct sessions *all, struct farewell *farewell)
{
    struct place *place = farewell->place;
    farewell->under_way = true;
    list_add(&place->farewells, &farewell->in_place);
    if (list_is_empty(&place->in_partings))
        list_add(&all->partings, &place->in_partings);
    event_active(all->turn_end, EV_TIMEOUT, 0);
}

/* Takes the session's identity over. */
static struct farewell *new_farewell(struct session *session)
{
    struct farewell *farewell = memory_new(sizeof *farewell);
    farewell->place = rooms_get(session->all->rooms, session->place->name);
    farewell->identity = session->identity;
    farewell->rounds = 1;
    session->identity = NULL;
    list_init(&farewell->link);
    list_init(&farewell->in_place);
    list_add(&session->all->farewells, &farewell->link);
    return farewell;
}

void session_leave(struct session *session, bool said)
{
    session->all->options.metrics->leaves++;
    session_log(session, "leave", said ? NULL : "connection lost");
    session_end(session);
    if (session->connection != NULL) /* a visitor again, who may join anew */
        session->state = SESSION_VISITING;
    struct farewell *farewell = new_farewell(session);
    farewell->said = said;
    queue_farewell(session->all, farewell);
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
    queue_farewell(all, farewell);
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
            queue_farewell(all, farewell);
    }
}

void session_free_farewells(struct sessions *all)
{
    while (!list_is_empty(&all->farewells))
        free_farewell(LIST_ITEM(all->farewells.next, struct farewell, link));
}
