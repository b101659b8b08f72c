#include "session/rules.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/table.h"
#include "protocol/control.h"
#include "protocol/token.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_ROOMS = 1000,
    MOST_IN_A_ROOM = 200, /* each message is compared with them */
    MOST_BANS = 1000,
    MOST_TALKERS = 10000, /* of a room; a peer that joins anew is another one */
};

struct ruled_room;

struct rule {
    struct link link;
    struct link in_order; /* of all rules, those that were written longest ago first */
    uint64_t generation;  /* of Redis' memory, in which it was written */
    const struct ruled_room *room;
    struct rule_record record;  /* its strings are its own */
    struct address_block block; /* whom it is about, by address */
};

/* Who said something in slow mode, and when. */
struct talker {
    struct link link; /* the earliest first */
    char id[TOKEN_ID_BYTES];
    int64_t said_ms;
};

struct ruled_room {
    struct link rules;
    size_t count;
    struct table *talkers; /* by id */
    struct link talked;
    char name[];
};

struct rules {
    struct table *rooms; /* by name; without a rule there is none */
    struct link in_order;
    uint64_t generation; /* of Redis' memory: how often that was lost */
    uint64_t changes;
};

/* --- Rooms --- */

static struct table_key name_of(const void *value)
{
    const struct ruled_room *room = value;
    return (struct table_key){room->name, strlen(room->name)};
}

static struct table_key id_of(const void *value)
{
    const struct talker *talker = value;
    return (struct table_key){talker->id, strlen(talker->id)};
}

static struct ruled_room *find_room(const struct rules *rules, const char *name)
{
    return table_count(rules->rooms) == 0 ? NULL : table_find(rules->rooms, name, strlen(name));
}

static struct ruled_room *get_room(struct rules *rules, const char *name)
{
    struct ruled_room *room = find_room(rules, name);
    if (room != NULL || table_count(rules->rooms) >= MOST_ROOMS)
        return room;
    room = memory_new(sizeof *room + strlen(name) + 1);
    memcpy(room->name, name, strlen(name) + 1);
    list_init(&room->rules);
    list_init(&room->talked);
    room->talkers = table_new(id_of);
    table_add(rules->rooms, room);
    return room;
}

static void free_rule(struct ruled_room *room, struct rule *rule)
{
    list_remove(&rule->link);
    list_remove(&rule->in_order);
    room->count--;
    free((char *)(uintptr_t)rule->record.subject);
    free((char *)(uintptr_t)rule->record.reason);
    free(rule);
}

static void free_talker(struct ruled_room *room, struct talker *talker)
{
    table_remove(room->talkers, talker);
    list_remove(&talker->link);
    free(talker);
}

static void free_room(struct rules *rules, struct ruled_room *room)
{
    while (!list_is_empty(&room->rules))
        free_rule(room, LIST_ITEM(list_take_first(&room->rules), struct rule, link));
    while (!list_is_empty(&room->talked))
        free_talker(room, LIST_ITEM(list_take_first(&room->talked), struct talker, link));
    table_free(room->talkers);
    table_remove(rules->rooms, room);
    free(room);
}

/* --- Rules --- */

static struct rule *find_rule(const struct ruled_room *room, enum rule_kind kind,
                              const char *subject)
{
    for (struct link *at = room->rules.next; at != &room->rules; at = at->next) {
        struct rule *rule = LIST_ITEM(at, struct rule, link);
        if (rule->record.kind == kind && strcmp(rule->record.subject, subject) == 0)
            return rule;
    }
    return NULL;
}

static const char *const address_prefix = "address:";

static void note_written(struct rules *rules, struct rule *rule)
{
    rule->generation = rules->generation;
    list_remove(&rule->in_order);
    list_add(&rules->in_order, &rule->in_order);
}

static void add_rule(struct rules *rules, struct ruled_room *room, const struct rule_record *record)
{
    struct rule *rule = memory_new(sizeof *rule);
    size_t prefix = strlen(address_prefix);
    rule->record = *record;
    rule->record.subject = memory_copy_string(record->subject);
    rule->record.reason = memory_copy_string(record->reason);
    if (strncmp(record->subject, address_prefix, prefix) == 0)
        address_block_parse(record->subject + prefix, &rule->block);
    rule->room = room;
    list_init(&rule->link);
    list_init(&rule->in_order);
    list_add(&room->rules, &rule->link);
    note_written(rules, rule);
    room->count++;
}

int rules_keep(struct rules *rules, const char *name, const struct rule_record *record)
{
    struct ruled_room *room =
        record->until_ms == 0 ? find_room(rules, name) : get_room(rules, name);
    rules->changes++;
    if (room == NULL)
        return record->until_ms == 0 ? 0 : -1;
    struct rule *before = find_rule(room, record->kind, record->subject);
    bool full = before == NULL && room->count >= (name[0] == '\0' ? MOST_BANS : MOST_IN_A_ROOM);
    if (before != NULL)
        free_rule(room, before);
    if (record->until_ms != 0 && !full)
        add_rule(rules, room, record);
    if (room->count == 0)
        free_room(rules, room);
    return full && record->until_ms != 0 ? -1 : 0;
}

void rules_forget(struct rules *rules, const char *name)
{
    struct ruled_room *room = find_room(rules, name);
    struct link *next;
    rules->changes++;
    if (room == NULL)
        return;
    for (struct link *at = room->rules.next; at != &room->rules; at = next) {
        struct rule *rule = LIST_ITEM(at, struct rule, link);
        next = at->next;
        if (rule->generation == rules->generation)
            free_rule(room, rule);
    }
    if (room->count == 0)
        free_room(rules, room);
}

uint64_t rules_changes(const struct rules *rules)
{
    return rules->changes;
}

static bool holds(const struct rule *rule, int64_t now_ms)
{
    return rule->record.until_ms > now_ms;
}

void rules_mark_unwritten(struct rules *rules)
{
    rules->generation++;
    rules->changes++;
}

bool rules_next_unwritten(struct rules *rules, int64_t now_ms, const char **room,
                          struct rule_record *out)
{
    while (!list_is_empty(&rules->in_order)) {
        struct rule *rule = LIST_ITEM(rules->in_order.next, struct rule, in_order);
        if (rule->generation == rules->generation)
            return false;
        note_written(rules, rule);
        if (!holds(rule, now_ms))
            continue;
        *room = rule->room->name;
        *out = rule->record;
        return true;
    }
    return false;
}

/* --- Judging --- */

static const char *sentence_of(const char *reason, const char *otherwise)
{
    return reason[0] != '\0' ? reason : otherwise;
}

/* The subject is "id:…", "name:…" or "address:…". */
static bool is_about(const struct rule *rule, const struct rules_member *member)
{
    const char *subject = rule->record.subject;
    if (strncmp(subject, "id:", 3) == 0)
        return strcmp(subject + 3, member->id) == 0;
    if (strncmp(subject, "name:", 5) == 0)
        return strcmp(subject + 5, member->folded) == 0;
    return rule->block.bits > 0 && address_in_block(member->address, &rule->block);
}

bool rules_judge_muted(const struct rules *rules, const char *name,
                       const struct rules_member *member, int64_t now_ms,
                       struct message_error *error)
{
    const struct ruled_room *room = find_room(rules, name);
    if (room == NULL)
        return false;
    for (struct link *at = room->rules.next; at != &room->rules; at = at->next) {
        const struct rule *rule = LIST_ITEM(at, struct rule, link);
        if (rule->record.kind != RULE_MUTED || !holds(rule, now_ms) || !is_about(rule, member))
            continue;
        *error = (struct message_error){
            .code = "muted",
            .message = sentence_of(rule->record.reason, "You cannot speak here at the moment."),
            .until_ms = rule->record.until_ms,
        };
        return true;
    }
    return false;
}

/* A rule of the room, if that is there, that is about all. */
static const struct rule *find_general(const struct ruled_room *room, enum rule_kind kind,
                                       int64_t now_ms)
{
    const struct rule *rule = room == NULL ? NULL : find_rule(room, kind, "");
    return rule != NULL && holds(rule, now_ms) ? rule : NULL;
}

static void forget_talked(struct ruled_room *room, int64_t before_ms)
{
    while (!list_is_empty(&room->talked) &&
           LIST_ITEM(room->talked.next, struct talker, link)->said_ms <= before_ms)
        free_talker(room, LIST_ITEM(list_take_first(&room->talked), struct talker, link));
}

static void note_talker(struct ruled_room *room, const char *id, int64_t now_ms)
{
    struct talker *talker = memory_new(sizeof *talker);
    if (strlen(id) >= sizeof talker->id) {
        free(talker);
        return;
    }
    if (table_count(room->talkers) >= MOST_TALKERS)
        free_talker(room, LIST_ITEM(room->talked.next, struct talker, link));
    memcpy(talker->id, id, strlen(id) + 1);
    talker->said_ms = now_ms;
    list_init(&talker->link);
    list_add(&room->talked, &talker->link);
    table_add(room->talkers, talker);
}

bool rules_judge_slow(struct rules *rules, const char *name, const char *id, int64_t now_ms,
                      struct message_error *error)
{
    struct ruled_room *room = find_room(rules, name);
    const struct rule *rule = find_general(room, RULE_SLOW, now_ms);
    if (rule == NULL)
        return false;
    int64_t every_ms = (int64_t)rule->record.every_s * 1000;
    forget_talked(room, now_ms - every_ms);
    const struct talker *talker = table_find(room->talkers, id, strlen(id));
    if (talker == NULL) {
        note_talker(room, id, now_ms);
        return false;
    }
    *error = (struct message_error){
        .code = "slow",
        .message = sentence_of(rule->record.reason, "Slowly, please: this room is in slow mode."),
        .retry_after = ceil((double)(talker->said_ms + every_ms - now_ms) / 100) / 10,
        .until_ms = rule->record.until_ms,
    };
    return true;
}

struct message_error rules_locked_error(const char *reason, int64_t until_ms)
{
    return (struct message_error){
        .code = "locked",
        .message = sentence_of(reason, "Nobody new can come in at the moment."),
        .until_ms = until_ms,
    };
}

bool rules_judge_locked(const struct rules *rules, const char *name, int64_t now_ms,
                        struct message_error *error)
{
    const struct rule *rule = find_general(find_room(rules, name), RULE_LOCKED, now_ms);
    if (rule == NULL)
        return false;
    *error = rules_locked_error(rule->record.reason, rule->record.until_ms);
    return true;
}

/* --- Ends --- */

static void forget_ended(struct ruled_room *room, int64_t now_ms)
{
    struct link *next;
    for (struct link *at = room->rules.next; at != &room->rules; at = next) {
        struct rule *rule = LIST_ITEM(at, struct rule, link);
        next = at->next;
        if (!holds(rule, now_ms))
            free_rule(room, rule);
    }
}

void rules_tick(struct rules *rules, int64_t now_ms)
{
    struct ruled_room *room;
    for (size_t i = 0; (room = table_next(rules->rooms, &i)) != NULL;) {
        forget_ended(room, now_ms);
        if (room->count > 0)
            continue;
        free_room(rules, room);
        i = 0;
    }
}

struct rules *rules_new(void)
{
    struct rules *rules = memory_new(sizeof *rules);
    rules->rooms = table_new(name_of);
    list_init(&rules->in_order);
    return rules;
}

void rules_free(struct rules *rules)
{
    if (rules == NULL)
        return;
    struct ruled_room *room;
    for (size_t i = 0; (room = table_next(rules->rooms, &i)) != NULL; i = 0)
        free_room(rules, room);
    table_free(rules->rooms);
    free(rules);
}
