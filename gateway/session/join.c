#include "session/join.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/address_limit.h"
#include "session/admit.h"
#include "session/bans.h"
#include "session/join_batch.h"
#include "session/leave.h"
#include "session/newcomers.h"
#include "session/put_out.h"
#include "session/reconcile.h"
#include "session/refresh.h"
#include "session/session.h"
#include "session/welcome.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_since(struct joining *joining, const struct message_in *join)
{
    if (join->resume == NULL ||
        token_parse(join->resume, strlen(join->resume), &joining->shown) != 0)
        return; /* a token that cannot be ours is like none */
    memcpy(joining->shown_text, join->resume, TOKEN_BYTES);
    if (join->since_epoch == NULL || strlen(join->since_epoch) >= sizeof joining->since_epoch)
        return;
    memcpy(joining->since_epoch, join->since_epoch, strlen(join->since_epoch) + 1);
    joining->since_seq = join->since_seq;
    joining->has_since = true;
}

/* For one more room? */
static bool has_place(const struct sessions *all)
{
    uint64_t most = all->options.config->max_rooms;
    if (most == 0 || rooms_count_used(all->rooms) < most)
        return true;
    refusals_note(all->options.refusals, REFUSAL_MAX_ROOMS, NULL);
    return false;
}

/* May its room be open here? If not, the join is refused. */
static bool may_open(struct session *session)
{
    if (room_is_open(session->entry->room))
        return true;
    if (!has_place(session->all)) {
        session_refuse_join(session, &(struct message_error){
                                         .code = "unavailable",
                                         .message = "There are too many rooms right now; please "
                                                    "try again later.",
                                         .retry_after = 10,
                                     });
        return false;
    }
    double wait_s = session_address_wait(session, ADDRESS_ROOMS);
    if (wait_s <= 0)
        return true;
    session_refuse_join(session,
                        &(struct message_error){
                            .code = "too_fast",
                            .message = "Too many new rooms come from your address; please wait.",
                            .retry_after = ceil(wait_s * 10) / 10,
                        });
    return false;
}

/* Asks Redis to let it in, or refuses, as soon as all is known that has to be: where the room is,
 * its rules, and whether the address is banned. */
static void proceed(struct session *session)
{
    const struct sessions *all = session->all;
    struct message_error error;
    if (bans_judge(all->bans, &session->address, &error))
        session_put_out(session, &error);
    else if (room_is_live(session->entry->room) && session->entry->rules_known &&
             bans_is_known(all->bans, &session->address))
        session_ask(session);
}

void session_join(struct session *session, const struct message_in *join)
{
    struct joining *joining = memory_new(sizeof *joining);
    enum name_error error = name_judge(join->name, join->name_len, &joining->name);
    session->joining = joining;
    if (error != NAME_OK) {
        session_refuse_join(session, &(struct message_error){.code = "bad_name",
                                                             .message = name_error_text(error)});
        return;
    }
    token_new(&joining->fresh, joining->fresh_text);
    read_since(joining, join);
    newcomers_take_work(session, join);
    joining->since_ms = clock_monotonic_ms();
    if (!broker_is_up(session->all->options.broker) || sessions_why_closed(session->all) != NULL) {
        session_refuse_unavailable(session);
        return;
    }
    if (!may_open(session))
        return;
    if (!room_is_open(session->entry->room))
        session->entry->refresh_at_ms = session_refresh_ms(session->all);
    room_open(session->entry->room);
    session->state = SESSION_OPENING;
    list_add(&session->entry->waiting, &session->in_queue);
    proceed(session);
}

void session_on_ban_known(struct session *session)
{
    struct message_error error;
    if (session->state == SESSION_OPENING)
        proceed(session);
    else if (session_is_member(session) &&
             bans_judge(session->all->bans, &session->address, &error))
        session_put_out(session, &error);
}

/* --- Waiting --- */

/* Calls `step` for each waiting session in that state; `step` may take it off the list. */
static void each_waiting(struct room_entry *entry, enum session_state state,
                         void (*step)(struct session *session))
{
    struct link *next;
    for (struct link *at = entry->waiting.next; at != &entry->waiting; at = next) {
        struct session *session = LIST_ITEM(at, struct session, in_queue);
        next = at->next;
        if (session->state == state)
            step(session);
    }
}

void session_on_live(void *owner)
{
    struct room_entry *entry = owner;
    if (feed_lineage(room_feed(entry->room))->count >
        0) /* perhaps while the room was not open here */
        session_reconcile_soon(entry);
    each_waiting(entry, SESSION_OPENING, proceed);
}

void session_on_rules_known(void *owner)
{
    each_waiting(owner, SESSION_OPENING, proceed);
}

/* It is in, but the feed does not get so far. Who came back stays a member for the grace. */
static void give_up_welcome(struct session *session)
{
    if (strcmp(session->identity->id, session->joining->shown.id) == 0) {
        connection_close(session->connection, 1013, "the chat cannot be reached; come back");
        return;
    }
    session_leave(session, false);
    session_refuse_unavailable(session);
}

static void refuse_if_late(struct session *session)
{
    if (clock_monotonic_ms() < session->joining->since_ms + JOIN_DEADLINE_MS)
        return;
    refusals_note(session->all->options.refusals, REFUSAL_JOIN_TIME, NULL);
    if (session->state == SESSION_ADMITTED)
        give_up_welcome(session);
    else
        session_refuse_unavailable(session);
}

void session_join_tick(struct room_entry *entry)
{
    each_waiting(entry, SESSION_OPENING, refuse_if_late);
    each_waiting(entry, SESSION_ADMITTED, session_welcome_if_arrived);
    each_waiting(entry, SESSION_ADMITTED, refuse_if_late);
}
