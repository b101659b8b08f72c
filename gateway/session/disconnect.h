/* disconnect: the grace of members whose connection is lost. */
#ifndef YUKIZURI_SESSION_DISCONNECT_H
#define YUKIZURI_SESSION_DISCONNECT_H

#include "session/internal.h"

void session_detach(struct session *session);
void session_on_more_expired(evutil_socket_t fd, short events, void *arg);

/* The member has come back on another socket: this one is told 4409 and forgotten. */
void session_displace(struct session *session);

/* Ends graces that are over. To be called once a second. */
void session_lay_ghosts(struct sessions *all);

#endif
