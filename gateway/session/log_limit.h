/* log_limit: how much the log has of who has not joined. */
#ifndef YUKIZURI_SESSION_LOG_LIMIT_H
#define YUKIZURI_SESSION_LOG_LIMIT_H

#include "session/internal.h"

void session_init_strangers(struct sessions *all);

/* May a line about it be written? If not, that is counted, and told by the tick. */
bool session_may_log(const struct session *session, enum log_level level);
void session_strangers_tick(struct sessions *all);

#endif
