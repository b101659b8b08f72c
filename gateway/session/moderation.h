/* moderation: carries out what operators publish on the channel P:control (protocol/control.h), and
 * answers on P:control:done. Every gateway gets each command, does its own part of it and writes
 * the rule to Redis, so that it holds whichever gateway dies. Keeps session/rules.h the same as
 * Redis: reads a room's rules when it opens here and after the channel was cut, writes them again
 * when Redis has lost its memory. */
#ifndef YUKIZURI_SESSION_MODERATION_H
#define YUKIZURI_SESSION_MODERATION_H

#include "session/internal.h"

struct moderation;

/* `on_known` is called, from the event loop only, when a room's rules are known (rules_known). */
struct moderation *moderation_new(struct sessions *all, void (*on_known)(void *entry));

/* The broker must have been stopped, and not be freed. NULL is fine. */
void moderation_free(struct moderation *moderation);

/* The room was opened here: asks for its rules. */
void moderation_open(struct room_entry *entry);

/* Redis may have lost its memory: writes all rules again that are known here. */
void moderation_write_again(struct sessions *all);

/* Redis is there (again). */
void moderation_on_up(struct sessions *all);

/* To be called once a second. */
void moderation_tick(struct sessions *all);

/* Is the member muted? Then it is told, with this nonce or NULL. */
bool moderation_refuses(struct session *session, const char *nonce);

/* The same before it says something: is it muted, or too fast for slow mode? */
bool moderation_refuses_say(struct session *session, const char *nonce);

#endif
