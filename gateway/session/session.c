#include "session/session.h"

#include "websocket/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void session_send(struct session *session)
{
    struct text *text = &session->all->scratch;
    if (session->connection != NULL)
        connection_send(session->connection, FRAME_TEXT, text->data, text->len);
    text_clear(text);
}

void session_send_secret(struct session *session)
{
    struct text *text = &session->all->scratch;
    if (session->connection != NULL)
        connection_send_secret(session->connection, text->data, text->len);
    text_clear(text);
}

void session_error(struct session *session, const struct message_error *error)
{
    metrics_count_word(&session->all->options.metrics->errors, error->code);
    message_add_error(&session->all->scratch, error);
    session_send(session);
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

struct commands_member session_commands_member(const struct sessions *all,
                                               const struct identity *identity)
{
    struct commands_member member = {
        .folded = identity_folded(identity),
        .name = identity_name(identity),
        .address = "",
        .public_address = identity_shown(identity),
        .mark = identity_mark(identity),
    };
    snprintf(member.session, sizeof member.session, "%.10s-%" PRIu64,
             broker_incarnation(all->options.broker), identity->number);
    return member;
}

struct session *session_find(const struct sessions *all, const char *id, const char *name)
{
    struct session *session = table_find(all->by_id, id, strlen(id));
    if (session == NULL)
        return NULL;
    const struct commands_member member = session_commands_member(all, session->identity);
    return strcmp(member.session, name) == 0 ? session : NULL;
}

void session_end_joining(struct session *session)
{
    free(session->joining);
    session->joining = NULL;
    list_remove(&session->in_queue);
}

void session_format_address(const struct session *session, char out[ADDRESS_TEXT_BYTES])
{
    const struct sessions *all = session->all;
    address_key_display(all->address_key, &session->address, all->options.config->log_address, out);
}

struct room_entry *session_next_entry(const struct sessions *all, size_t *at)
{
    struct room *room = rooms_next(all->rooms, at);
    return room == NULL ? NULL : room_owner(room);
}

struct room_entry *session_find_entry(const struct sessions *all, const char *name)
{
    const struct room *room = rooms_find(all->rooms, name);
    return room == NULL || !room_is_open(room) ? NULL : room_owner(room);
}

int64_t session_redis_now_ms(const struct sessions *all)
{
    return commands_now_ms(broker_commands(all->options.broker));
}
