/* disconnect: detached sessions: members whose connection is lost, in their grace. */
#ifndef YUKIZURI_SESSION_DISCONNECT_H
#define YUKIZURI_SESSION_DISCONNECT_H

#include "session/internal.h"

/* Its connection is lost: it stays a member for `leave-grace`; without one it leaves. */
void session_detach(struct session *session);

/* The member has come back on another socket: this one is told 4409 and forgotten. */
void session_displace(struct session *session);

/* Those leave whose grace is over. To be called once a second. */
void session_expire_detached(struct sessions *all);

/* For the timer sessions.more_expired: goes on where there were too many for one call. */
void session_on_more_expired(evutil_socket_t fd, short events, void *arg);

#endif
