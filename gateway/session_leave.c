/* Leaving, so that Redis surely hears of it. */
#include "session_internal.h"

#include "memory.h"
#include "slab.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* Several of one room, in one call of leave.lua. */
struct parting {
    size_t count;
    struct farewell *farewells[BUS_LEAVE_MOST];
};

static void free_farewell(struct farewell *farewell)
{
    list_remove(&farewell->link);
    list_remove(&farewell->in_turn);
    if (list_is_empty(&farewell->place->farewells))
        list_remove(&farewell->place->parting);
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

static void on_answered(void *arg, const struct redis_reply *reply)
{
    struct parting *parting = arg;
    bool failed = redis_reply_is_error(reply);
    for (size_t i = 0; i < parting->count; i++) {
        parting->farewells[i]->under_way = false;
        if (!failed) /* else session_repeat_farewells tries again */
            note_answer(parting->farewells[i]);
    }
    free(parting);
}

static void send_parting(const struct sessions *all, struct place *place, struct parting *parting)
{
    struct bus_leave leaves[BUS_LEAVE_MOST];
    for (size_t i = 0; i < parting->count; i++) {
        const struct farewell *farewell = parting->farewells[i];
        leaves[i] = (struct bus_leave){session_bus_member(all, farewell->identity), farewell->said,
                                       farewell->spared};
    }
    if (bus_leave(place->feed, leaves, parting->count, on_answered, parting) != 0)
        on_answered(parting, NULL);
}

void session_say_farewells(struct sessions *all, struct place *place)
{
    list_remove(&place->parting);
    while (!list_is_empty(&place->farewells)) {
        struct parting *parting = memory_new(sizeof *parting);
        while (!list_is_empty(&place->farewells) && parting->count < BUS_LEAVE_MOST) {
            struct farewell *farewell = LIST_ITEM(place->farewells.next, struct farewell, in_turn);
            list_remove(&farewell->in_turn);
            parting->farewells[parting->count++] = farewell;
        }
        send_parting(all, place, parting);
    }
}

void session_on_turn_end(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct sessions *all = arg;
    while (!list_is_empty(&all->partings))
        session_say_farewells(all, LIST_ITEM(all->partings.next, struct place, parting));
}

/* At the end of the turn, with others who leave the room. */
static void say_farewell(struct sessions *all, struct farewell *farewell)
{
    struct place *place = farewell->place;
    farewell->under_way = true;
    list_add(&place->farewells, &farewell->in_turn);
    if (!list_is_empty(&place->parting))
        return;
    if (list_is_empty(&all->partings))
        event_active(all->turn_end, EV_TIMEOUT, 0);
    list_add(&all->partings, &place->parting);
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
    list_init(&farewell->in_turn);
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
    say_farewell(session->all, farewell);
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
    say_farewell(all, farewell);
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
            say_farewell(all, farewell);
    }
}

void session_free_farewells(struct sessions *all)
{
    while (!list_is_empty(&all->farewells))
        free_farewell(LIST_ITEM(all->farewells.next, struct farewell, link));
}
