/* rules: what an operator has ordered, as this gateway knows it, until each ends: who is muted in a
 * room, slow mode, a lock, bans. Judges what members do. Notes which of it Redis has, but does not
 * talk to Redis, nor to operators, and knows no session: moderation.c brings them together. */
#ifndef YUKIZURI_SESSION_RULES_H
#define YUKIZURI_SESSION_RULES_H

#include "broker/rule_commands.h"
#include "config/address.h"
#include "protocol/message.h"

struct rules;

struct rules *rules_new(void);

/* NULL is fine. */
void rules_free(struct rules *rules);

/* Keeps a rule, in place of one of its kind about the same; copied. Lifted: forgets it. -1 when
 * there are too many (in the room, or rooms), and `rule` is not kept. Bans have the room "". */
int rules_keep(struct rules *rules, const char *room, const struct rule_record *rule);

/* Forgets those of this room that Redis had: all but what rules_next_unwritten would return. */
void rules_forget(struct rules *rules, const char *room);

/* How often something changed that an answer of Redis, asked for before, may not know. */
uint64_t rules_changes(const struct rules *rules);

/* Redis may have none of them any more: from here on rules_next_unwritten returns each once. */
void rules_mark_unwritten(struct rules *rules);

/* One of those that have not ended; it counts as written then. False: there is none left. `*room`
 * and the strings live until the next change. */
bool rules_next_unwritten(struct rules *rules, int64_t now_ms, const char **room,
                          struct rule_record *out);

/* --- Judging: true, and the error that says why; its strings live until the next change --- */

struct rules_member {
    const char *id, *folded;
    const struct address *address;
};

bool rules_judge_muted(const struct rules *rules, const char *room,
                       const struct rules_member *member, int64_t now_ms,
                       struct message_error *error);

/* Did the member say something too short a time ago, in slow mode? If not, it says something now.
 */
bool rules_judge_slow(struct rules *rules, const char *room, const char *id, int64_t now_ms,
                      struct message_error *error);

/* May nobody new come in? */
bool rules_judge_locked(const struct rules *rules, const char *room, int64_t now_ms,
                        struct message_error *error);

/* The error for a lock. */
struct message_error rules_locked_error(const char *reason, int64_t until_ms);

/* To be called once a second: forgets what has ended. */
void rules_tick(struct rules *rules, int64_t now_ms);

#endif
