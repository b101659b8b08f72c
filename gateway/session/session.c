#include "session/session.h"

#include "session/log_limit.h"
#include "websocket/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void session_send(struct session *session)
{
    struct text *text = &session->all->scratch;
    if (session->connection != NULL)
        connection_send(session->connection, FRAME_TEXT, text->data, text->len);
    text_clear(text);
}

void session_error(struct session *session, const struct message_error *error)
{
    metrics_count_word(&session->all->options.metrics->errors, error->code);
    message_add_error(&session->all->scratch, error);
    session_send(session);
}

void session_refuse(struct session *session, const char *code, const char *sentence)
{
    session_error(session, &(struct message_error){.code = code, .message = sentence});
}

void session_log_more(const struct session *session, const struct log_line *line)
{
    char address[ADDRESS_TEXT_BYTES];
    struct log_line whole = *line;
    const struct identity *identity = session->identity;
    if (!session_may_log(session, line->level))
        return;
    session_format_address(session, address);
    whole.room = room_name(session->entry->room);
    whole.remote_addr = address;
    if (identity != NULL) {
        whole.id = identity->id[0] == '\0' ? NULL : identity->id; /* Redis has not decided yet */
        whole.username = identity_name(identity);
    }
    log_write(session->all->options.log, &whole);
}

void session_log(const struct session *session, const char *kind, const char *message)
{
    session_log_more(session, &(struct log_line){.kind = kind, .message = message});
}

bool session_is_member(const struct session *session)
{
    return session->state == SESSION_ADMITTED || session->state == SESSION_JOINED ||
           session->state == SESSION_DETACHED;
}

void session_free_if_over(struct session *session)
{
    if (session->state != SESSION_OVER || session->in_flight > 0 || session->connection != NULL)
        return;
    list_remove(&session->in_entry);
    list_remove(&session->in_queue);
    rooms_release(session->entry->room);
    free(session->identity);
    free(session->joining);
    free(session);
}

void session_end(struct session *session)
{
    struct sessions *all = session->all;
    if (session_is_member(session)) {
        table_remove(all->by_id, session);
        list_remove(&session->in_entry);
        list_add(&session->entry->visitors, &session->in_entry);
        all->options.metrics->members--;
    }
    if (session->connection != NULL)
        room_exit(session->entry->room, session->connection);
    list_remove(&session->in_queue);
    session->state = SESSION_OVER;
}

struct commands_member session_bus_member(const struct sessions *all,
                                          const struct identity *identity)
{
    struct commands_member member = {
        .folded = identity_folded(identity),
        .name = identity_name(identity),
        .address = "",
        .shown = identity_shown(identity),
    };
    snprintf(member.session, sizeof member.session, "%.10s-%" PRIu64,
             broker_incarnation(all->options.broker), identity->number);
    return member;
}

void session_end_joining(struct session *session)
{
    free(session->joining);
    session->joining = NULL;
    list_remove(&session->in_queue);
}

void session_format_address(const struct session *session, char out[ADDRESS_TEXT_BYTES])
{
    sessions_format_address(session->all, &session->address, out);
}
