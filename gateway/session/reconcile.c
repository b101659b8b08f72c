#include "session/reconcile.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES = 200 /* in a call, about */ };

/* One walk over a room's members. */
struct walk {
    struct room_entry *entry; /* held: one of its users */
    char cursor[24];
};

static void ask_ours(struct walk *walk);

/* While this gateway goes away members are on their way to another one, and not left over; while
 * another process has the same id, some may be its own. */
static bool may_reconcile(const struct sessions *all)
{
    return !all->draining && !all->id_shared;
}

/* Those of the answer who are no member here; returns how many. The strings are the answer's. */
static size_t find_leftovers(const struct sessions *all, const struct redis_reply *reply,
                             size_t *at, struct commands_leave *leaves)
{
    size_t count = 0;
    for (; *at + 2 < redis_reply_count(reply) && count < COMMANDS_LEAVE_MOST; *at += 3) {
        const char *folded = redis_reply_string(redis_reply_at(reply, *at), NULL);
        const char *session = redis_reply_string(redis_reply_at(reply, *at + 1), NULL);
        const char *id = redis_reply_string(redis_reply_at(reply, *at + 2), NULL);
        struct commands_leave *leave = &leaves[count];
        *leave = (struct commands_leave){.member.folded = folded, .except_id = ""};
        if (folded == NULL || session == NULL || id == NULL ||
            session_find(all, id, session) != NULL ||
            strlen(session) >= sizeof leave->member.session)
            continue;
        memcpy(leave->member.session, session, strlen(session) + 1);
        count++;
    }
    return count;
}

static void on_leftovers_gone(void *arg, const struct redis_reply *reply)
{
    struct room_entry *entry = arg;
    if (redis_reply_is_error(reply))
        session_reconcile_soon(entry); /* once more */
    rooms_release(entry->room);
}

static void send_leftovers(struct room_entry *entry, const struct commands_leave *leaves,
                           size_t count)
{
    rooms_hold(entry->room);
    if (commands_leave(room_topic(entry->room), leaves, count, on_leftovers_gone, entry) != 0)
        on_leftovers_gone(entry, NULL);
}

static void end_reconcile(struct walk *walk)
{
    rooms_release(walk->entry->room);
    free(walk);
}

static void on_ours(void *arg, const struct redis_reply *reply)
{
    struct walk *walk = arg;
    struct room_entry *entry = walk->entry;
    struct commands_leave leaves[COMMANDS_LEAVE_MOST];
    const char *cursor = redis_reply_string(redis_reply_at(reply, 0), NULL);
    size_t count;
    /* one that does not move would be followed for ever */
    if (cursor == NULL || strlen(cursor) >= sizeof walk->cursor ||
        (strcmp(cursor, "0") != 0 && strcmp(cursor, walk->cursor) == 0)) {
        session_reconcile_soon(entry); /* once more */
        end_reconcile(walk);
        return;
    }
    memcpy(walk->cursor, cursor, strlen(cursor) + 1);
    for (size_t at = 1;
         may_reconcile(entry->all) && (count = find_leftovers(entry->all, reply, &at, leaves)) > 0;)
        send_leftovers(entry, leaves, count);
    if (strcmp(walk->cursor, "0") == 0)
        end_reconcile(walk);
    else
        ask_ours(walk);
}

static void ask_ours(struct walk *walk)
{
    if (commands_ours(room_topic(walk->entry->room), walk->cursor, NAMES, on_ours, walk) != 0)
        on_ours(walk, NULL);
}

void session_reconcile_soon(struct room_entry *entry)
{
    const struct config *config = entry->all->options.config;
    int64_t lease_ms = (int64_t)config->lease * 1000;
    int64_t grace_ms = (int64_t)config->leave_grace * 1000;
    entry->reconcile_at_ms = clock_monotonic_ms() + lease_ms + grace_ms;
    entry->unsettled_until_ms = entry->reconcile_at_ms + lease_ms;
}

bool session_is_unsettled(const struct room_entry *entry)
{
    return clock_monotonic_ms() < entry->unsettled_until_ms;
}

void session_reconcile_tick(struct room_entry *entry)
{
    struct sessions *all = entry->all;
    if (entry->reconcile_at_ms == 0 || entry->reconcile_at_ms > clock_monotonic_ms() ||
        !room_is_open(entry->room) || !broker_is_healthy(all->options.broker) ||
        !may_reconcile(all))
        return;
    entry->reconcile_at_ms = 0;
    struct walk *walk = memory_new(sizeof *walk);
    *walk = (struct walk){.entry = entry, .cursor = "0"};
    rooms_hold(entry->room);
    ask_ours(walk);
}
