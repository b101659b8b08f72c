#include "session/admit.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/disconnect.h"
#include "session/leave.h"
#include "session/log.h"
#include "session/newcomers.h"
#include "session/pressure.h"
#include "session/rules.h"
#include "session/session.h"
#include "session/welcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Refusing --- */

void session_refuse_join(struct session *session, const struct message_error *error)
{
    struct text line = TEXT_EMPTY;
    text_print(&line, "%s: %s", error->code, session->joining->name.shown);
    session_log(session, "join-refused", line.data);
    text_done(&line);
    newcomers_give_work_back(session);
    session_end_joining(session);
    session->state = session->connection == NULL ? SESSION_OVER : SESSION_VISITING;
    session_error(session, error);
}

void session_refuse_unavailable(struct session *session)
{
    session_refuse_join(session,
                        &(struct message_error){
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
    session_refuse_join(session, &(struct message_error){
                                     .code = "name_taken",
                                     .message = sentence,
                                     .suggestion = number > 0 ? suggestion.shown : NULL,
                                 });
}

static void refuse_locked(struct session *session, const char *reason, int64_t until_ms)
{
    const struct message_error error = rules_locked_error(reason, until_ms);
    session_refuse_join(session, &error);
}

static void refuse_stranger(struct session *session)
{
    char challenge[WORK_CHALLENGE_BYTES];
    struct message_error error;
    newcomers_explain(session, challenge, &error);
    session_refuse_join(session, &error);
}

/* --- Admitting --- */

static void fill_identity(struct session *session, const struct commands_joined *joined)
{
    struct identity *identity = session->identity;
    const struct joining *joining = session->joining;
    bool same = strcmp(joined->id, joining->shown.id) == 0;
    memcpy(identity->id, joined->id, sizeof identity->id);
    memcpy(identity->hash, same ? joining->shown.hash : joining->fresh.hash, sizeof identity->hash);
    identity_set_floor(identity, joined->floor, joined->epoch);
}

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

static void admit(struct session *session, bool resumed, const struct commands_joined *joined)
{
    struct metrics *metrics = session->all->options.metrics;
    fill_identity(session, joined);
    session->joining->seq = joined->seq;
    session->joining->since_ms = clock_monotonic_ms();
    memcpy(session->joining->epoch, joined->epoch, sizeof joined->epoch);
    become_member(session);
    metrics->resumes += resumed;
    metrics->joins += !resumed;
    session_log(session, resumed ? "resume" : "join", NULL);
    if (session->connection == NULL) {
        session_detach(session);
    } else if (!connection_is_closing(session->connection)) {
        list_add(&session->entry->waiting, &session->in_queue);
        session_welcome_if_arrived(session);
        if (strcmp(feed_epoch(room_feed(session->entry->room)), joined->epoch) != 0)
            feed_check_epoch(room_feed(session->entry->room));
    }
}

/* Who comes back is nobody new, however many do. */
static bool is_new(const struct session *session, enum commands_join_status status,
                   const struct commands_joined *joined)
{
    return status == COMMANDS_TAKEN || status == COMMANDS_FULL || status == COMMANDS_LOCKED ||
           status == COMMANDS_STRANGER ||
           (status == COMMANDS_JOINED && strcmp(joined->id, session->joining->shown.id) != 0);
}

void session_decide_join(struct session *session, enum commands_join_status status,
                         const struct commands_joined *joined)
{
    if (is_new(session, status, joined))
        pressure_note_newcomer(session->all->pressure);
    switch (status) {
    case COMMANDS_JOINED:
    case COMMANDS_RESUMED:
        admit(session, status == COMMANDS_RESUMED, joined);
        break;
    case COMMANDS_TAKEN:
        refuse_taken(session, joined->number);
        break;
    case COMMANDS_FULL:
        refusals_note(session->all->options.refusals, REFUSAL_MAX_MEMBERS, NULL);
        session_refuse_join(session, &(struct message_error){
                                         .code = "room_full",
                                         .message = "This room is full; please try again later.",
                                         .retry_after = 10,
                                     });
        break;
    case COMMANDS_LOCKED:
        refuse_locked(session, joined->reason, joined->until_ms);
        break;
    case COMMANDS_STRANGER:
        refuse_stranger(session);
        break;
    case COMMANDS_LATE:
        session_refuse_unavailable(session);
        break;
    case COMMANDS_MOVED:
    case COMMANDS_FAILED:
        session_retract(session); /* perhaps Redis carried it out, and only its answer was lost */
        session_refuse_unavailable(session);
        break;
    }
}
