#include "session/refresh.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/disconnect.h"
#include "session/reconcile.h"
#include "session/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One batch under way: which sessions it asked about. Each is held by in_flight. */
struct batch {
    size_t count;
    struct session *sessions[COMMANDS_REFRESH_MOST];
};

/* Once more in a lease: the keys have a third of their time to live left then. */
static void refresh_in_a_lease(struct room_entry *entry)
{
    entry->refresh_at_ms = clock_monotonic_ms() + (int64_t)entry->all->options.config->lease * 1000;
}

static void judge_reinstated(struct session *session, enum commands_join_status status,
                             const struct commands_joined *joined)
{
    if (status == COMMANDS_JOINED || status == COMMANDS_RESUMED) {
        identity_set_floor(session->identity, joined->floor, joined->epoch);
        if (session->state == SESSION_ADMITTED) { /* the event that it waited for is gone */
            session->joining->seq = joined->seq;
            memcpy(session->joining->epoch, joined->epoch, sizeof joined->epoch);
        }
    }
    if (status == COMMANDS_FAILED)
        refresh_in_a_lease(session->entry);
    if (status == COMMANDS_MOVED) {
        session_displace(session);
    } else if (status == COMMANDS_TAKEN && session_is_unsettled(session->entry)) {
        refresh_in_a_lease(session->entry); /* who has the name may have left since that memory */
    } else if (status == COMMANDS_TAKEN && session->connection != NULL) {
        /* somebody took the name while this gateway was thought dead: the page joins again */
        connection_close(session->connection, 4400, "the name was taken meanwhile; join again");
    }
}

static void on_reinstated(void *arg, const struct redis_reply *reply)
{
    struct batch *batch = arg;
    for (size_t i = 0; i < batch->count; i++) {
        struct session *session = batch->sessions[i];
        struct commands_joined joined = {0};
        enum commands_join_status status = commands_read_joined(reply, i, &joined);
        session->in_flight--;
        if (session_is_member(session))
            judge_reinstated(session, status, &joined);
        else
            session_free_if_over(session);
    }
    free(batch);
}

static struct commands_join write_reinstatement(const struct session *session,
                                                char address[ADDRESS_TEXT_BYTES])
{
    const struct identity *identity = session->identity;
    struct commands_join join = {
        .member = session_commands_member(session->all, identity),
        .number_base = identity_folded(identity),
        .asked_ms = identity->asked_ms,
        .reinstate = true,
        .floor = identity->floor,
        .floor_epoch = identity->floor_epoch,
    };
    memcpy(join.resume_token.id, identity->id, sizeof join.resume_token.id);
    memcpy(join.resume_token.hash, identity->hash, sizeof join.resume_token.hash);
    join.new_token = join.resume_token;
    session_format_address(session, address);
    join.member.address = address;
    return join;
}

/* All of one room, COMMANDS_JOIN_MOST at most. Takes the batch over. */
static void reinstate(struct batch *batch)
{
    struct commands_join joins[COMMANDS_JOIN_MOST];
    char addresses[COMMANDS_JOIN_MOST][ADDRESS_TEXT_BYTES];
    for (size_t i = 0; i < batch->count; i++)
        joins[i] = write_reinstatement(batch->sessions[i], addresses[i]);
    if (commands_join(room_topic(batch->sessions[0]->entry->room), joins, batch->count,
                      on_reinstated, batch) != 0)
        on_reinstated(batch, NULL);
}

/* Adds it to those who are to be reinstated (join.lua judges whether they may be); returns
 * them, or others after a full batch. */
static struct batch *add_lost(struct batch *lost, struct session *session)
{
    if (lost == NULL)
        lost = memory_new(sizeof *lost);
    lost->sessions[lost->count++] = session;
    if (lost->count < COMMANDS_JOIN_MOST)
        return lost;
    reinstate(lost);
    return NULL;
}

static void on_refreshed(void *arg, const struct redis_reply *reply)
{
    struct batch *batch = arg;
    struct batch *lost = NULL;
    size_t len = 0;
    const char *letters = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, &len);
    if (letters == NULL)
        refresh_in_a_lease(batch->sessions[0]->entry);
    for (size_t i = 0; i < batch->count; i++) {
        struct session *session = batch->sessions[i];
        bool kept = letters == NULL || i >= len || letters[i] == 'k';
        if (!kept && session_is_member(session)) {
            lost = add_lost(lost, session); /* and stays held */
        } else {
            session->in_flight--;
            session_free_if_over(session);
        }
    }
    if (lost != NULL)
        reinstate(lost);
    free(batch);
}

static void send_refresh(struct room_entry *entry, struct batch *batch)
{
    struct commands_member members[COMMANDS_REFRESH_MOST];
    for (size_t i = 0; i < batch->count; i++) {
        members[i] = session_commands_member(batch->sessions[i]->all, batch->sessions[i]->identity);
        batch->sessions[i]->in_flight++;
    }
    if (commands_refresh(room_topic(entry->room), members, batch->count, on_refreshed, batch) != 0)
        on_refreshed(batch, NULL);
}

/* Returns how many there were. */
static size_t refresh_room(struct room_entry *entry)
{
    struct batch *batch = NULL;
    size_t count = 0;
    for (struct link *at = entry->members.next; at != &entry->members; at = at->next) {
        struct session *session = LIST_ITEM(at, struct session, in_entry);
        if (batch == NULL)
            batch = memory_new(sizeof *batch);
        batch->sessions[batch->count++] = session;
        count++;
        if (batch->count == COMMANDS_REFRESH_MOST) {
            send_refresh(entry, batch);
            batch = NULL;
        }
    }
    if (batch != NULL)
        send_refresh(entry, batch);
    return count;
}

/* Twice in the keys' time to live: what failed is tried again a lease later. */
int64_t session_refresh_ms(const struct sessions *all)
{
    return clock_monotonic_ms() +
           (int64_t)script_settings_member_ttl(all->options.config) * 1000 / 2;
}

/* Those who came in together are not refreshed together, but within a sixth of their keys' time to
 * live; in a hurry within half a lease. */
static size_t most_in_a_tick(const struct sessions *all)
{
    const struct config *config = all->options.config;
    uint64_t within_s =
        all->hurry ? (config->lease + 1) / 2 : script_settings_member_ttl(config) / 6;
    return all->options.metrics->members / within_s + COMMANDS_REFRESH_MOST;
}

static void begin_walk(struct sessions *all, bool hurry)
{
    all->refresh_walk++;
    all->hurry = hurry;
}

/* The next room of this walk; NULL when it has been to all that were there when it began. */
static struct room_entry *next_in_walk(struct sessions *all)
{
    struct room *room = rooms_rotate(all->rooms);
    struct room_entry *entry = room == NULL ? NULL : room_owner(room);
    if (entry == NULL || entry->refresh_walk == all->refresh_walk)
        return NULL;
    entry->refresh_walk = all->refresh_walk;
    return entry;
}

/* Goes on where it stopped the time before: no room waits for those that come first. */
static void refresh_some(struct sessions *all)
{
    int64_t now_ms = clock_monotonic_ms();
    size_t most = most_in_a_tick(all);
    for (size_t count = 0; count < most;) {
        struct room_entry *entry = next_in_walk(all);
        if (entry == NULL) {
            begin_walk(all, false);
            return;
        }
        if (!room_is_open(entry->room) || entry->refresh_at_ms > now_ms)
            continue;
        entry->refresh_at_ms = session_refresh_ms(all);
        if (all->hurry) /* once more: a reaping may just have been under way */
            refresh_in_a_lease(entry);
        count += refresh_room(entry);
    }
}

void session_refresh_soon(void *owner)
{
    struct room_entry *entry = owner;
    struct sessions *all = entry->all;
    entry->refresh_at_ms = clock_monotonic_ms();
    begin_walk(all, true);
}

void session_refresh_all(struct sessions *all, bool hurry)
{
    int64_t now_ms = clock_monotonic_ms();
    struct room_entry *entry;
    for (size_t at = 0; (entry = session_next_entry(all, &at)) != NULL;)
        entry->refresh_at_ms = now_ms;
    if (hurry)
        begin_walk(all, true);
    session_refresh_tick(all);
}

void session_refresh_tick(struct sessions *all)
{
    if (broker_is_up(all->options.broker))
        refresh_some(all);
}
