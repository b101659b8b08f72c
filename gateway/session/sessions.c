#include "session/sessions.h"

#include "base/clock.h"
#include "base/memory.h"
#include "room/member_list.h"
#include "session/address_limit.h"
#include "session/bans.h"
#include "session/delivery_time.h"
#include "session/disconnect.h"
#include "session/grace_clock.h"
#include "session/join.h"
#include "session/leave.h"
#include "session/log.h"
#include "session/moderation.h"
#include "session/newcomers.h"
#include "session/operators.h"
#include "session/pressure.h"
#include "session/rate_limit.h"
#include "session/reconcile.h"
#include "session/refresh.h"
#include "session/rules.h"
#include "session/say.h"
#include "session/session.h"
#include "session/welcome.h"
#include "websocket/connections.h"
#include "websocket/output.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { TYPING_EVERY_MS = 1000 };

/* --- Small requests --- */

/* May be dropped anywhere, so what comes too often is. */
static void publish_typing(struct session *session)
{
    uint32_t now_ms = (uint32_t)clock_monotonic_ms();
    if (now_ms - session->typed_ms < TYPING_EVERY_MS)
        return;
    session->typed_ms = now_ms;
    if (moderation_refuses(session, NULL))
        return;
    struct text *json = &session->all->scratch;
    char *person = identity_person_json(session->identity);
    message_add_typing(json, person);
    free(person);
    commands_publish(room_topic(session->entry->room), json->data);
    text_clear(json);
}

static void send_members(struct session *session)
{
    struct room *room = session->entry->room;
    char *person = identity_person_json(session->identity);
    message_add_members(&session->all->scratch, room_seq(room), room_count(room),
                        member_list_json(room, session->identity->id, person));
    session_send(session);
    free(person);
}

/* --- Dispatch --- */

static void dispatch_member(struct session *session, const struct message_in *message)
{
    if (message->type == MESSAGE_SAY)
        session_say(session, message);
    else if (message->type == MESSAGE_TYPING)
        publish_typing(session);
    else if (message->type == MESSAGE_MEMBERS)
        send_members(session);
    else
        session_leave(session, true);
}

static void refuse_stranger(struct session *session, const char *nonce)
{
    session_error(session, &(struct message_error){
                               .code = "not_joined",
                               .message = "Please join with a name first.",
                               .nonce = nonce,
                               .not_accepted = nonce != NULL,
                           });
}

/* Has it sent more than it may? What it leaves by is done in any case. */
static bool may_send(struct session *session, const struct message_in *message)
{
    if (message->type == MESSAGE_PING || message->type == MESSAGE_TYPING)
        return session_has_sign_token(session);
    if (message->type == MESSAGE_JOIN)
        return session_has_join_token(session);
    if (message->type != MESSAGE_LEAVE || session->state != SESSION_JOINED)
        return session_has_token(session, message->type == MESSAGE_SAY ? message->nonce : NULL);
    rate_take(&session->rate, &session->all->options.config->rate, RATE_WORDS,
              clock_monotonic_ms());
    return true;
}

static void dispatch(struct session *session, const struct message_in *message)
{
    static const char pong[] = "{\"type\":\"pong\"}";
    if (!may_send(session, message))
        return;
    if (message->type == MESSAGE_PING) {
        connection_send(session->connection, FRAME_TEXT, pong, sizeof pong - 1);
    } else if (message->type == MESSAGE_JOIN) {
        if (session->state != SESSION_VISITING)
            session_error(session, &(struct message_error){.code = "already_joined",
                                                           .message = "You have joined already."});
        else
            session_join(session, message);
    } else if (session->state == SESSION_JOINED) {
        dispatch_member(session, message);
    } else {
        refuse_stranger(session, message->type == MESSAGE_SAY ? message->nonce : NULL);
    }
}

/* A say waits for an answer to its nonce, whatever was wrong with it. */
static void refuse_bad(struct session *session, const uint8_t *data, size_t len, const char *why)
{
    char nonce[MESSAGE_NONCE_BYTES];
    bool found = message_find_nonce(data, len, nonce);
    if (!session_allows_bad(session) || !session_has_token(session, found ? nonce : NULL))
        return;
    session_error(session, &(struct message_error){
                               .code = "bad_message",
                               .message = why,
                               .nonce = found ? nonce : NULL,
                               .not_accepted = found,
                           });
}

static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    struct session *session = owner;
    struct message_in message;
    const char *why = "A message must be text, not binary.";
    session->all->options.metrics->messages_in++;
    if (!text) {
        connection_close(session->connection, 1003, "only text is understood here");
        return;
    }
    if (message_parse(data, len, &message, &why) != 0) {
        refuse_bad(session, data, len, why);
        return;
    }
    dispatch(session, &message);
    message_in_done(&message);
}

/* --- Life --- */

static void on_closed(void *owner, const struct connection_end *end)
{
    struct session *session = owner;
    struct sessions *all = session->all;
    session_note_lost(session, end, session_refused(session));
    session_end_flood(session);
    bans_exit(session->all->bans, session);
    quota_give(all->options.quota, &session->address);
    room_exit(session->entry->room, session->connection);
    session->connection = NULL;
    if (session->state == SESSION_ASKED)
        return; /* the reply decides, or the call drops it */
    if (session_is_member(session) && !all->draining)
        session_detach(session);
    else
        session_end(session);
    session_free_if_over(session);
}

static struct table_key id_of(const void *value)
{
    const struct session *session = value;
    return (struct table_key){session->identity->id, strlen(session->identity->id)};
}

struct connection *session_open(struct sessions *all, const struct session_visitor *visitor)
{
    static const struct connection_callbacks callbacks = {on_message, session_on_control, on_closed,
                                                          session_on_bytes};
    struct session *session = memory_new(sizeof *session);
    session->all = all;
    session->address = visitor->address;
    session->uncounted = visitor->trusted;
    session->rate = rate_new(&all->options.config->rate, clock_monotonic_ms());
    session->opened_s = (uint32_t)(clock_monotonic_ms() / 1000);
    session->entry = room_owner(rooms_get(all->rooms, visitor->room));
    list_init(&session->in_entry);
    list_init(&session->in_queue);
    list_add(&session->entry->visitors, &session->in_entry);
    session->connection =
        connection_new(all->options.connections, visitor->fd, &callbacks, session);
    bans_enter(all->bans, session);
    return session->connection;
}

/* --- What happens in a room --- */

static void on_reset(void *owner)
{
    const struct room_entry *entry = owner;
    session_refresh_soon(owner);
    session_reconcile_soon(owner);
    moderation_write_again(entry->all);
}

static void *on_made(void *arg, struct room *room)
{
    struct room_entry *entry = memory_new(sizeof *entry);
    entry->all = arg;
    entry->room = room;
    list_init(&entry->members);
    list_init(&entry->visitors);
    list_init(&entry->waiting);
    list_init(&entry->arrived);
    list_init(&entry->in_arrived);
    return entry;
}

static void on_freed(void *owner)
{
    struct room_entry *entry = owner;
    list_remove(&entry->in_arrived);
    free(entry);
}

static void on_opened(void *owner, bool open)
{
    struct room_entry *entry = owner;
    const struct sessions_options *options = &entry->all->options;
    if (open)
        moderation_open(entry);
    options->on_room_opened(options->arg, room_name(entry->room), open);
}

/* Any session, NULL when there is none. */
static struct session *any_session(const struct sessions *all)
{
    struct room_entry *entry;
    for (size_t at = 0; (entry = session_next_entry(all, &at)) != NULL;) {
        if (!list_is_empty(&entry->members))
            return LIST_ITEM(entry->members.next, struct session, in_entry);
        if (!list_is_empty(&entry->visitors))
            return LIST_ITEM(entry->visitors.next, struct session, in_entry);
    }
    return NULL;
}

struct rooms *sessions_rooms(struct sessions *all)
{
    return all->rooms;
}

/* In a cluster the key and the lease come from different nodes, in any order. */
static void tell_if_admitting(void *arg)
{
    const struct sessions *all = arg;
    if (sessions_why_closed(all) == NULL)
        all->options.on_admitting(all->options.arg);
}

struct sessions *sessions_new(const struct sessions_options *options)
{
    struct sessions *all = memory_new(sizeof *all);
    const struct rooms_callbacks rooms_callbacks = {
        .on_made = on_made,
        .on_freed = on_freed,
        .on_opened = on_opened,
        .on_live = session_on_live,
        .on_happened = session_on_happened,
        .on_reset = on_reset,
        .on_epoch = session_refresh_soon, /* who came back in between may be unknown to it */
    };
    struct rooms_options rooms_options = {options->base, options->queue, options->broker};
    all->options = *options;
    all->rooms = rooms_new(&rooms_options, &rooms_callbacks, all);
    all->by_id = table_new(id_of);
    list_init(&all->detached);
    all->more_expired = evtimer_new(options->base, session_on_more_expired, all);
    list_init(&all->arrived);
    all->refresh_walk = 1; /* a new room was in none yet */
    all->welcomes = evtimer_new(options->base, session_on_welcomes, all);
    list_init(&all->pending_leaves);
    list_init(&all->floods);
    list_init(&all->ended_floods);
    session_log_init(all);
    all->next_number = 1;
    all->address_key = address_key_new(options->broker, tell_if_admitting, all);
    all->bans = bans_new(&(struct bans_options){all, options->base, options->config,
                                                options->broker, session_on_ban_known});
    all->pressure = pressure_new(broker_commands(options->broker));
    all->newcomers = newcomers_new();
    all->rules = rules_new();
    all->moderation = moderation_new(all, session_on_rules_known);
    all->operators = operators_new(all);
    return all;
}

void sessions_free(struct sessions *all)
{
    if (all == NULL)
        return;
    struct session *session;
    while ((session = any_session(all)) != NULL) {
        session->connection = NULL;
        session->in_flight = 0;
        session_end(session);
        session_free_if_over(session);
    }
    session_free_pending_leaves(all);
    session_free_floods(all);
    session_forget_deliveries(all);
    event_free(all->more_expired);
    event_free(all->welcomes);
    rooms_free(all->rooms);
    table_free(all->by_id);
    address_key_free(all->address_key);
    bans_free(all->bans);
    operators_free(all->operators);
    moderation_free(all->moderation);
    rules_free(all->rules);
    pressure_free(all->pressure);
    newcomers_free(all->newcomers);
    text_done(&all->scratch);
    free(all);
}

/* --- From outside --- */

void sessions_format_address(const struct sessions *all, const struct address *address,
                             char out[ADDRESS_TEXT_BYTES])
{
    address_key_display(all->address_key, address, all->options.config->log_address, out);
}

void sessions_admit(struct sessions *all)
{
    all->admitting = true;
    tell_if_admitting(all);
}

bool sessions_are_banned(const struct sessions *all, const struct address *address)
{
    return bans_judge(all->bans, address, NULL);
}

const char *sessions_why_closed(const struct sessions *all)
{
    if (!all->admitting)
        return "this gateway has not got its gateway-id yet";
    if (!address_key_is_ready(all->address_key))
        return "the key under which addresses are hashed is not known yet";
    return NULL;
}

void sessions_set_id_shared(struct sessions *all, bool id_shared)
{
    all->id_shared = id_shared;
}

void sessions_on_up(struct sessions *all)
{
    rooms_on_up(all->rooms);
    address_key_ask(all->address_key);
    bans_ask(all->bans);
    moderation_on_up(all);
    session_retry_pending_leaves(all);
    session_refresh_all(all, false);
}

void sessions_on_lapsed(struct sessions *all)
{
    address_key_ask(all->address_key);
    moderation_write_again(all);
    session_refresh_all(all, true);
}

void sessions_on_control_message(struct sessions *all, const char *data, size_t len)
{
    struct message_resumed resumed;
    if (message_parse_resumed(data, len, &resumed) != 0)
        return;
    struct session *session = session_find(all, resumed.id, resumed.session);
    if (session != NULL)
        session_displace(session);
}

void sessions_tick(struct sessions *all)
{
    struct room_entry *entry;
    for (size_t at = 0; (entry = session_next_entry(all, &at)) != NULL;) {
        session_join_tick(entry);
        session_reconcile_tick(entry);
    }
    session_grace_clock_tick(all);
    session_expire_detached(all);
    session_retry_pending_leaves(all);
    session_refresh_tick(all);
    session_flood_tick(all);
    session_log_tick(all);
    address_key_tick(all->address_key);
    bans_tick(all->bans);
    moderation_tick(all);
    pressure_tick(all->pressure);
    newcomers_tick(all->newcomers);
    rooms_tick(all->rooms);
    memory_decay();
}
