#include "session/reconcile.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES = 200 /* in a call, about */ };

/* One walk over a room's members, or a call that takes off what it found. */
struct reconcile {
    struct sessions *all;
    struct room_entry *entry; /* held: one of its users */
    char cursor[24];
};

static void ask_ours(struct reconcile *walk);

static struct reconcile *new_reconcile(struct sessions *all, struct room_entry *entry)
{
    struct reconcile *walk = memory_new(sizeof *walk);
    walk->all = all;
    walk->entry = entry;
    rooms_hold(entry->room);
    walk->cursor[0] = '0';
    return walk;
}

static void end_reconcile(struct reconcile *walk)
{
    rooms_release(walk->entry->room);
    free(walk);
}

/* While this gateway goes away members are on their way to another one, and not left over; while
 * another process has the same id, some may be its own. */
static bool may_reconcile(const struct sessions *all)
{
    return !all->draining && !all->id_shared;
}

static bool is_member_here(const struct sessions *all, const char *id, const char *session_text)
{
    const struct session *session = table_find(all->by_id, id, strlen(id));
    if (session == NULL)
        return false;
    const struct commands_member member = session_commands_member(all, session->identity);
    return strcmp(member.session, session_text) == 0;
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
        *leave = (struct commands_leave){.member.folded = folded, .spared = ""};
        if (folded == NULL || session == NULL || id == NULL || is_member_here(all, id, session) ||
            strlen(session) >= sizeof leave->member.session)
            continue;
        memcpy(leave->member.session, session, strlen(session) + 1);
        count++;
    }
    return count;
}

static void on_leftovers_gone(void *arg, const struct redis_reply *reply)
{
    struct reconcile *asker = arg;
    if (redis_reply_is_error(reply))
        session_reconcile_soon(asker->entry); /* once more */
    end_reconcile(asker);
}

static void send_leftovers(const struct reconcile *walk, const struct commands_leave *leaves,
                           size_t count)
{
    struct reconcile *asker = new_reconcile(walk->all, walk->entry);
    if (commands_leave(room_topic(walk->entry->room), leaves, count, on_leftovers_gone, asker) != 0)
        on_leftovers_gone(asker, NULL);
}

static void on_ours(void *arg, const struct redis_reply *reply)
{
    struct reconcile *walk = arg;
    struct commands_leave leaves[COMMANDS_LEAVE_MOST];
    const char *cursor = redis_reply_string(redis_reply_at(reply, 0), NULL);
    size_t count;
    /* one that stands still would be followed for ever */
    if (cursor == NULL || strlen(cursor) >= sizeof walk->cursor ||
        (strcmp(cursor, "0") != 0 && strcmp(cursor, walk->cursor) == 0)) {
        session_reconcile_soon(walk->entry); /* once more */
        end_reconcile(walk);
        return;
    }
    memcpy(walk->cursor, cursor, strlen(cursor) + 1);
    for (size_t at = 1;
         may_reconcile(walk->all) && (count = find_leftovers(walk->all, reply, &at, leaves)) > 0;)
        send_leftovers(walk, leaves, count);
    if (strcmp(walk->cursor, "0") == 0)
        end_reconcile(walk);
    else
        ask_ours(walk);
}

static void ask_ours(struct reconcile *walk)
{
    if (commands_ours(room_topic(walk->entry->room), walk->cursor, NAMES, on_ours, walk) == 0)
        return;
    session_reconcile_soon(walk->entry);
    end_reconcile(walk);
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
    ask_ours(new_reconcile(all, entry));
}
