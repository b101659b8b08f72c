/* Leaving, so that Redis surely hears of it. */
#include "session_internal.h"

#include "memory.h"
#include "slab.h"

#include <stdlib.h>
#include <string.h>

static void free_farewell(struct farewell *farewell)
{
    list_remove(&farewell->link);
    rooms_put(farewell->place);
    slab_free(farewell->identity);
    free(farewell);
}

static void on_answered(void *arg, const struct redis_reply *reply)
{
    struct farewell *farewell = arg;
    farewell->under_way = false;
    if (redis_reply_is_error(reply))
        return; /* session_repeat_farewells tries again */
    if (--farewell->rounds > 0)
        return;
    if (farewell->spared[0] == '\0') {
        free_farewell(farewell);
        return;
    }
    farewell->spared[0] = '\0'; /* and once more after the grace */
    farewell->rounds = 1;
}

static void say_farewell(const struct sessions *all, struct farewell *farewell)
{
    const struct bus_leave leave = {session_bus_member(all, farewell->identity), farewell->said,
                                    farewell->spared};
    farewell->under_way = true;
    if (bus_leave(farewell->place->feed, &leave, on_answered, farewell) != 0)
        farewell->under_way = false;
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
