/* operators: carries out what operators publish on the channel P:control (protocol/control.h), and
 * answers on P:control:done. Every gateway gets each command and does its own part of it: for its
 * own members, and for what lasts through moderation.h, so that it holds whichever gateway dies. */
#ifndef YUKIZURI_SESSION_OPERATORS_H
#define YUKIZURI_SESSION_OPERATORS_H

#include "session/internal.h"

struct operators;

/* Listens from here on; `all` must have its moderation. */
struct operators *operators_new(struct sessions *all);

/* The broker must have been stopped, and not be freed. NULL is fine. */
void operators_free(struct operators *operators);

#endif
