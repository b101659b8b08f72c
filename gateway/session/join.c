/* Joining and coming back. */
#include "session/internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/slab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Refusing --- */

void session_end_joining(struct session *session)
{
    session->all->freed++;
    free(session->joining);
    session->joining = NULL;
    list_remove(&session->in_queue);
}

static void refuse_join(struct session *session, const struct message_error *error)
{
    struct text line = TEXT_EMPTY;
    text_print(&line, "%s: %s", error->code, session->joining->name.shown);
    session_log(session, "join-refused", line.data);
    text_done(&line);
    session_end_joining(session);
    session->state = session->connection == NULL ? SESSION_OVER : SESSION_VISITING;
    session_error(session, error);
}

void session_refuse_unavailable(struct session *session)
{
    refuse_join(session, &(struct message_error){
                             .code = "unavailable",
                             .message = "The chat cannot be reached right now; please try again.",
                             .retry_after = 1,
                         });
}

static void refuse_taken(struct session *session, unsigned number)
{
    struct name suggestion = {.shown = ""};
    char question[NAME_BYTES + 64] = "Please choose another name.";
    char sentence[sizeof question + 64];
    if (number > 0) {
        name_with_number(&session->joining->name, number, &suggestion);
        snprintf(question, sizeof question, "How about %s?", suggestion.shown);
    }
    snprintf(sentence, sizeof sentence, "Somebody here is called that already. %s", question);
    refuse_join(session, &(struct message_error){
                             .code = "name_taken",
                             .message = sentence,
                             .suggestion = number > 0 ? suggestion.shown : NULL,
                         });
}

/* --- Identity --- */

void session_format_address(const struct session *session, char out[ADDRESS_TEXT_BYTES])
{
    sessions_format_address(session->all, &session->address, out);
}

static void fill_identity(struct session *session, const struct commands_joined *joined)
{
    const struct identity *asked = session->identity;
    const struct joining *joining = session->joining;
    bool same = strcmp(joined->id, joining->shown.id) == 0;
    struct identity *identity = identity_new(&(struct identity_parts){
        .number = asked->number,
        .asked_ms = asked->asked_ms,
        .name = identity_name(asked),
        .folded = identity_folded(asked),
        .shown = identity_shown(asked),
        .id = joined->id,
        .hash = same ? joining->shown.hash : joining->fresh.hash,
    });
    identity_set_floor(identity, joined->floor, joined->epoch);
    slab_free(session->identity);
    session->identity = identity;
}

/* --- Redis' answer --- */

static void become_member(struct session *session)
{
    struct sessions *all = session->all;
    struct session *other =
        table_find(all->by_id, session->identity->id, strlen(session->identity->id));
    if (other != NULL)
        session_displace(other);
    table_add(all->by_id, session);
    list_remove(&session->in_entry);
    list_add(&session->entry->members, &session->in_entry);
    all->options.metrics->members++;
    session->state = SESSION_ADMITTED;
}

static void admit(struct session *session, enum commands_join_status status,
                  const struct commands_joined *joined)
{
    struct metrics *metrics = session->all->options.metrics;
    fill_identity(session, joined);
    session->joining->seq = joined->seq;
    session->joining->since_ms = clock_monotonic_ms();
    memcpy(session->joining->epoch, joined->epoch, sizeof joined->epoch);
    become_member(session);
    if (status == COMMANDS_RESUMED) {
        metrics->resumes++;
        session_log(session, "resume", NULL);
    } else {
        metrics->joins++;
        session_log(session, "join", NULL);
    }
    if (session->connection == NULL || connection_is_closing(session->connection)) {
        if (session->connection == NULL)
            session_become_ghost(session);
    } else {
        list_add(&session->entry->waiting, &session->in_queue);
        session_welcome_if_known(session);
        if (strcmp(feed_epoch(room_feed(session->entry->room)), joined->epoch) != 0)
            feed_look(room_feed(session->entry->room));
    }
}

/* Perhaps Redis carried the join out, and only its answer was lost. */
static void retract(struct session *session)
{
    session_retract(session);
    session_refuse_unavailable(session);
}

void session_decide_join(struct session *session, enum commands_join_status status,
                         const struct commands_joined *joined)
{
    switch (status) {
    case COMMANDS_JOINED:
    case COMMANDS_RESUMED:
        admit(session, status, joined);
        break;
    case COMMANDS_TAKEN:
        refuse_taken(session, joined->number);
        break;
    case COMMANDS_FULL:
        refusals_note(session->all->options.refusals, REFUSAL_MAX_MEMBERS, NULL);
        refuse_join(session, &(struct message_error){
                                 .code = "room_full",
                                 .message = "This room is full; please try again later.",
                                 .retry_after = 10,
                             });
        break;
    case COMMANDS_LATE:
        session_refuse_unavailable(session);
        break;
    case COMMANDS_MOVED:
    case COMMANDS_FAILED:
        retract(session);
        break;
    }
}

/* --- Joining --- */

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
    joining->knows = true;
}

void session_join(struct session *session, const struct message_in *join)
{
    struct joining *joining = memory_new(sizeof *joining);
    enum name_error error = name_judge(join->name, join->name_len, &joining->name);
    session->joining = joining;
    if (error != NAME_OK) {
        refuse_join(session,
                    &(struct message_error){.code = "bad_name", .message = name_error_text(error)});
        return;
    }
    token_new(&joining->fresh, joining->fresh_text);
    read_since(joining, join);
    joining->since_ms = clock_monotonic_ms();
    if (!bus_is_up(session->all->options.bus) || sessions_why_closed(session->all) != NULL) {
        session_refuse_unavailable(session);
        return;
    }
    if (!room_is_open(session->entry->room))
        session->entry->refresh_at_ms = session_refresh_ms(session->all);
    room_open(session->entry->room);
    if (room_is_live(session->entry->room)) {
        session_ask(session);
        return;
    }
    session->state = SESSION_OPENING;
    list_add(&session->entry->waiting, &session->in_queue);
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

void session_on_live(struct room_entry *entry)
{
    if (feed_has_forked(room_feed(entry->room))) /* perhaps while the room was not open here */
        session_reconcile_soon(entry);
    each_waiting(entry, SESSION_OPENING, session_ask);
}

/* It is in, but the feed does not get so far. Who came back keeps its place for the grace. */
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
    each_waiting(entry, SESSION_ADMITTED, session_welcome_if_known);
    each_waiting(entry, SESSION_ADMITTED, refuse_if_late);
}
