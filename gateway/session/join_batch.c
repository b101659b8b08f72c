#include "session/join_batch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/admit.h"
#include "session/bans.h"
#include "session/newcomers.h"
#include "session/put_out.h"
#include "session/session.h"

#include <stdlib.h>

/* One call of join.lua: people of one entry, in the order in which they asked. Each is held by
 * in_flight. */
struct join_call {
    struct room_entry *entry;
    size_t count;
    struct session *sessions[COMMANDS_JOIN_MOST];
};

/* --- The answer --- */

/* A ban may have come while Redis was asked. */
static void put_out_if_banned(struct session *session)
{
    struct message_error error;
    if (session_is_member(session) && session->connection != NULL &&
        bans_judge(session->all->bans, &session->address, &error))
        session_put_out(session, &error);
}

static void on_joined(void *arg, const struct redis_reply *reply)
{
    struct join_call *call = arg;
    for (size_t i = 0; i < call->count; i++) {
        struct session *session = call->sessions[i];
        struct commands_joined joined = {0};
        enum commands_join_status status = commands_read_joined(reply, i, &joined);
        session->in_flight--;
        if (session->state == SESSION_ASKED)
            session_decide_join(session, status, &joined);
        put_out_if_banned(session);
        session_free_if_over(session);
    }
    free(call);
}

/* Is nobody there to be let in? */
static bool is_gone(const struct session *session)
{
    return session->connection == NULL || connection_is_closing(session->connection);
}

/* Redis is not asked for this one, who is told so. */
static void take_back(struct session *session)
{
    session->in_flight--;
    if (is_gone(session))
        session_end(session);
    else
        session_refuse_unavailable(session);
    session_free_if_over(session);
}

/* --- The call --- */

/* What a join needs beside what the session keeps. */
struct join_words {
    char address[ADDRESS_TEXT_BYTES];
    char base[NAME_BYTES];
};

static struct commands_join write_join(const struct session *session, struct join_words *words)
{
    const struct joining *joining = session->joining;
    struct commands_join join = {
        .member = session_commands_member(session->all, session->identity),
        .new_token = joining->fresh,
        .resume_token = joining->shown,
        .number_base = words->base,
        .asked_ms = joining->since_ms,
        .known_only = newcomers_may_not(session),
    };
    name_number_base(&joining->name, words->base);
    session_format_address(session, words->address);
    join.member.address = words->address;
    return join;
}

static void send_joins(struct join_call *call)
{
    struct commands_join joins[COMMANDS_JOIN_MOST];
    struct join_words words[COMMANDS_JOIN_MOST];
    for (size_t i = 0; i < call->count; i++)
        joins[i] = write_join(call->sessions[i], &words[i]);
    if (commands_join(room_topic(call->entry->room), joins, call->count, on_joined, call) == 0)
        return;
    for (size_t i = 0; i < call->count; i++)
        take_back(call->sessions[i]);
    free(call);
}

/* Has it waited too long, for a Redis that does not answer? */
static bool is_late(const struct session *session)
{
    return session->joining->since_ms + JOIN_DEADLINE_MS <= clock_monotonic_ms() &&
           !broker_is_healthy(session->all->options.broker);
}

/* Somebody who is gone may be in on another gateway by now: asking would end that. */
static void drop_late(struct join_call *call)
{
    size_t kept = 0;
    for (size_t i = 0; i < call->count; i++) {
        struct session *session = call->sessions[i];
        bool late = !is_gone(session) && is_late(session);
        if (late)
            refusals_note(session->all->options.refusals, REFUSAL_JOIN_TIME, NULL);
        if (late || is_gone(session))
            take_back(session);
        else
            call->sessions[kept++] = session;
    }
    call->count = kept;
}

static void make_joins(void *arg)
{
    struct join_call *call = arg;
    if (call->entry->joins == call)
        call->entry->joins = NULL;
    drop_late(call);
    if (call->count > 0)
        send_joins(call);
    else
        free(call);
}

/* NULL without a connection to Redis. */
static struct join_call *find_call(struct sessions *all, struct room_entry *entry)
{
    if (entry->joins != NULL && entry->joins->count < COMMANDS_JOIN_MOST)
        return entry->joins;
    struct join_call *call = memory_new(sizeof *call);
    call->entry = entry;
    if (limiter_enqueue(broker_commands(all->options.broker)->limiter,
                        room_topic(entry->room)->channel.text, make_joins, call) != 0) {
        free(call);
        return NULL;
    }
    return entry->joins = call;
}

/* --- Enqueueing --- */

/* Everything but the id and what Redis decides. */
static void prepare_identity(struct session *session)
{
    struct sessions *all = session->all;
    char shown[ADDRESS_TEXT_BYTES];
    char mark[ADDRESS_MARK_BYTES];
    address_key_display(all->address_key, &session->address, all->options.config->show_address,
                        shown);
    address_key_mark(all->address_key, &session->address, mark);
    free(session->identity);
    session->identity = identity_new(&(struct identity_parts){
        .number = all->next_number++,
        .asked_ms = session->joining->since_ms,
        .name = session->joining->name.shown,
        .folded = session->joining->name.folded,
        .shown = shown,
        .mark = mark,
    });
}

void session_ask(struct session *session)
{
    struct join_call *call = find_call(session->all, session->entry);
    if (call == NULL) {
        session_refuse_unavailable(session);
        return;
    }
    prepare_identity(session);
    list_remove(&session->in_queue);
    session->state = SESSION_ASKED;
    session->in_flight++;
    call->sessions[call->count++] = session;
}
