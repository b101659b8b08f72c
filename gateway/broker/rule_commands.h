/* rule_commands: the part of commands.h that is about moderation: rules of rooms (who is muted,
 * slow mode, a lock) are written and read, bans are written (ban_lookup.h reads them), and what was
 * said is forgotten. */
#ifndef YUKIZURI_BROKER_RULE_COMMANDS_H
#define YUKIZURI_BROKER_RULE_COMMANDS_H

#include "broker/commands.h"

enum rule_kind { RULE_LOCKED, RULE_SLOW, RULE_MUTED, RULE_BAN };

/* A rule as Redis keeps it. */
struct rule_record {
    enum rule_kind kind;
    const char *subject; /* MUTED: who, BAN: the block; else "" */
    unsigned every_s;    /* SLOW */
    int64_t until_ms;    /* Redis' clock; 0: lifted */
    const char *reason;
};

/* Writes it, for the room of this name (BAN: any). As those of commands.h; `done` may be NULL. A
 * rule without a connection is not written: whoever keeps it does it again. */
int commands_write_rule(const struct commands *commands, const char *room,
                        const struct rule_record *rule, redis_done done, void *arg);

/* Asks which rules a room has, of a few rooms at a time; commands_next_rule reads the answer. As
 * those of commands.h. */
int commands_read_rules(const struct commands *commands, const char *room, redis_done done,
                        void *arg);

/* The next rule of the answer; begin with *at = 0. False at the end. Its strings are the answer's
 * and valid UTF-8; one to which somebody gave no end has one in twelve days. */
bool commands_next_rule(const struct commands *commands, const struct redis_reply *reply,
                        size_t *at, struct rule_record *out);

/* Forgets what was said in the room up to this number; 0: all, should nobody be in the room. */
void commands_clear(const struct commands *commands, const char *room, uint64_t upto);

#endif
