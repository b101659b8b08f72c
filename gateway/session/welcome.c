#include "session/welcome.h"

#include "room/member_list.h"
#include "session/session.h"

#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOGETHER_US = 20000, /* after a welcome, others wait for so long, and are welcomed together */
    MOST_AT_ONCE = 64,   /* in an iteration of the loop: about a millisecond */
};

static void send_welcome(struct session *session, const struct room_view *view, bool recovered)
{
    const struct config *config = session->all->options.config;
    const struct joining *joining = session->joining;
    const struct identity *identity = session->identity;
    bool same = strcmp(identity->id, joining->shown.id) == 0;
    char *person = identity_person_json(identity);
    struct message_welcome welcome = {
        .room = room_name(session->entry->room),
        .epoch = feed_epoch(room_feed(session->entry->room)),
        .seq = view->seq,
        .me = person,
        .resume = same ? joining->shown_text : joining->fresh_text,
        .count = view->count,
        .recovered = recovered,
        .missed = view->missed,
        .ping = (unsigned)config->ping,
        .retention = (unsigned)config->retention,
        .max_text = config->max_text,
        .max_message = config->max_message,
        .members = member_list_json(session->entry->room, identity->id, person),
    };
    message_add_welcome(&session->all->scratch, &welcome);
    session_send_secret(session); /* the token */
    free(person);
}

/* Where it comes in; and is all that it has seen in the history that goes on from there? */
static bool find_arrival(const struct session *session, struct room_arrival *arrival)
{
    const struct joining *joining = session->joining;
    const struct identity *identity = session->identity;
    uint64_t since = joining->since_seq;
    uint64_t floor = identity->floor;
    if (!joining->has_since)
        return true;
    const struct lineage *lineage = feed_lineage(room_feed(session->entry->room));
    enum lineage_standing standing = lineage_stand(lineage, joining->since_epoch, &since);
    if (standing == LINEAGE_FOREIGN)
        since = lineage_unseen_from(lineage);
    lineage_stand(lineage, identity->floor_epoch, &floor);
    arrival->resumes = strcmp(identity->id, joining->shown.id) == 0;
    arrival->since = since > floor ? since : floor;
    return standing == LINEAGE_SHARED;
}

/* The numbers that follow are of another epoch: Redis goes on with another history, and it saw what
 * that does not have, or not all of it can be shown any more. */
static void send_gap(struct session *session, const struct room_view *view)
{
    const char *epoch = feed_epoch(room_feed(session->entry->room));
    message_add_gap(&session->all->scratch, view->missed, epoch, view->from);
    session_send(session);
}

/* The roster includes it: from here on it is a member like the others. */
static void welcome(struct session *session)
{
    struct room *room = session->entry->room;
    const struct joining *joining = session->joining;
    struct room_arrival arrival = {0};
    bool shared = find_arrival(session, &arrival);
    struct room_view view = room_enter(room, session->connection, &arrival);
    if (shared && joining->has_since && !arrival.resumes) /* the token has outlived `retention` */
        view.missed = room_messages_since(room, joining->since_seq);
    bool recovered = shared && arrival.resumes && view.missed == 0;
    send_welcome(session, &view, recovered);
    const char *epoch = feed_epoch(room_feed(session->entry->room));
    if (joining->has_since && !recovered && strcmp(joining->since_epoch, epoch) != 0)
        send_gap(session, &view);
    session->state = SESSION_JOINED;
    session_end_joining(session);
}

static bool is_settled(const struct session *session)
{
    const struct feed *feed = room_feed(session->entry->room);
    uint64_t seq = session->joining->seq;
    return feed_is_settled(feed) &&
           lineage_stand(feed_lineage(feed), session->joining->epoch, &seq) == LINEAGE_SHARED;
}

static bool has_arrived(const struct session *session)
{
    return session->joining->seq <= room_seq(session->entry->room) && is_settled(session);
}

/* --- Together --- */

/* Takes the session out of entry->arrived. */
static void welcome_arrived(struct session *session)
{
    list_remove(&session->in_queue);
    if (!has_arrived(session)) /* no longer: Redis lost its memory */
        list_add(&session->entry->waiting, &session->in_queue);
    else if (!connection_is_closing(session->connection))
        welcome(session);
}

/* Welcomes so many of the room at most; returns how many. */
static unsigned welcome_some(struct room_entry *entry, unsigned most)
{
    unsigned count = 0;
    for (; count < most && !list_is_empty(&entry->arrived); count++)
        welcome_arrived(LIST_ITEM(entry->arrived.next, struct session, in_queue));
    list_remove(&entry->in_arrived);
    return count;
}

/* One after the other, welcomes cost less than each by itself: the caches are warm, and readers
 * have not gone to sleep. A room where more wait goes to the end of the queue. */
void session_on_welcomes(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    static const struct timeval together = {0, TOGETHER_US};
    static const struct timeval next_iteration = {0, 0};
    struct sessions *all = arg;
    unsigned count = 0;
    metrics_begin_iteration(all->options.metrics);
    while (count < MOST_AT_ONCE && !list_is_empty(&all->arrived)) {
        struct room_entry *entry = LIST_ITEM(all->arrived.next, struct room_entry, in_arrived);
        count += welcome_some(entry, MOST_AT_ONCE - count);
        if (!list_is_empty(&entry->arrived))
            list_add(&all->arrived, &entry->in_arrived);
    }
    if (count > 0)
        evtimer_add(all->welcomes, list_is_empty(&all->arrived) ? &together : &next_iteration);
}

static void add_arrived(struct session *session)
{
    struct sessions *all = session->all;
    struct room_entry *entry = session->entry;
    list_remove(&session->in_queue);
    list_add(&entry->arrived, &session->in_queue);
    if (list_is_empty(&entry->in_arrived)) /* else it is queued already */
        list_add(&all->arrived, &entry->in_arrived);
    if (!evtimer_pending(all->welcomes, NULL))
        session_on_welcomes(-1, 0, all);
}

void session_welcome_if_arrived(struct session *session)
{
    if (has_arrived(session))
        add_arrived(session);
}

/* Those of one epoch wait in the order of their numbers, but that who resumed may be behind those
 * of its call who are new, and waits for their event, which is the next. The first whose event has
 * not come is the last to be looked at, or a room that reads what it missed would look at thousands
 * for each event. */
static void welcome_waiting(struct room_entry *entry)
{
    struct link *next;
    for (struct link *at = entry->waiting.next; at != &entry->waiting; at = next) {
        struct session *session = LIST_ITEM(at, struct session, in_queue);
        next = at->next;
        if (session->state != SESSION_ADMITTED || !is_settled(session))
            continue;
        if (!has_arrived(session))
            return;
        add_arrived(session);
    }
}

void session_on_happened(void *owner, bool hurry)
{
    if (hurry)
        welcome_some(owner, UINT_MAX);
    else
        welcome_waiting(owner);
}
