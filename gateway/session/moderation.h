/* moderation: what operators have ordered for rooms, kept and enforced. Keeps session/rules.h the
 * same as Redis: reads a room's rules when it opens here and after the channel of commands was cut,
 * writes each new one (session/operators.h), and all of them again when Redis has lost its memory.
 * Refuses what they forbid. */
#ifndef YUKIZURI_SESSION_MODERATION_H
#define YUKIZURI_SESSION_MODERATION_H

#include "broker/rule_commands.h"
#include "session/internal.h"

struct moderation;

/* `on_known` is called, from the event loop only, when a room's rules are known (rules_known). */
struct moderation *moderation_new(struct sessions *all, void (*on_known)(void *entry));

/* Redis' replies must have come or been failed. NULL is fine. */
void moderation_free(struct moderation *moderation);

/* The room was opened here: asks for its rules. */
void moderation_open(struct room_entry *entry);

/* Keeps a rule here and in Redis, or lifts it; bans have the room "". NULL, or a sentence (static)
 * that says why not. */
const char *moderation_set(struct sessions *all, const char *room, const struct rule_record *rule);

/* Redis may have lost its memory: writes all rules again that are known here, a few at a time. */
void moderation_write_again(struct sessions *all);

/* The channel of commands is heard from here on, or was cut. */
void moderation_on_channel(struct sessions *all, bool listens);

/* Redis is there (again). */
void moderation_on_up(struct sessions *all);

/* To be called once a second. */
void moderation_tick(struct sessions *all);

/* Is the member muted? Then it is told, with this nonce or NULL. */
bool moderation_refuses(struct session *session, const char *nonce);

/* The same before it says something: is it muted, or too fast for slow mode? */
bool moderation_refuses_say(struct session *session, const char *nonce);

#endif
