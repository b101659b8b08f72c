/* bans: which addresses may not come in: Redis has a key for each ban (P:ban:ADDRESS-or-CIDR), and
 * nobody has a list of them. So a gateway asks for each address that has a connection here
 * (broker/ban_lookup.h): when the first one opens, and every second from then on.
 *
 * It knows who is there and what Redis said; what follows from an answer is the caller's. A
 * unix-socket peer and a trusted proxy have no address of their own, and are never asked for.
 * Callbacks come from the event loop only. */
#ifndef YUKIZURI_SESSION_BANS_H
#define YUKIZURI_SESSION_BANS_H

#include "session/internal.h"

struct bans;

struct bans_options {
    struct sessions *all;
    struct event_base *base;
    const struct config *config;
    struct broker *broker; /* Redis' replies must have come or been failed before bans_free */
    /* Redis has told what is to be known of this session's address; called again only when it is
     * banned. May send and close, and end the join. */
    void (*on_known)(struct session *session);
};

struct bans *bans_new(const struct bans_options *options);

/* NULL is fine. */
void bans_free(struct bans *bans);

/* A connection of the session's address has come, or has gone. */
void bans_enter(struct bans *bans, struct session *session);
void bans_exit(struct bans *bans, const struct session *session);

/* Has Redis told of this address, while it has a connection here, or is there nothing to tell? */
bool bans_is_known(const struct bans *bans, const struct address *address);

/* Is it banned, as far as is known? Fills the error that says so then: its strings live until the
 * next call of the loop. `error` may be NULL. */
bool bans_judge(const struct bans *bans, const struct address *address,
                struct message_error *error);

/* Does an address of its own stand for one client? */
bool bans_can_be(const struct bans *bans, const struct address *address);

/* A ban of this address was just written: what was known of it is not any more. */
void bans_renew(struct bans *bans, const struct address *address);

/* Redis is there (again): asks for what it has not answered. */
void bans_ask(struct bans *bans);

/* To be called once a second: asks again. */
void bans_tick(struct bans *bans);

#endif
