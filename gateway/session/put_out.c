#include "session/put_out.h"

#include "session/admit.h"
#include "session/leave.h"
#include "session/log.h"
#include "session/session.h"

#include <stdio.h>
#include <string.h>

enum { MOST_CLOSE_REASON = 120 /* bytes; a close frame has room for 123 (RFC 6455 section 5.5) */ };

/* The sentence, cut between two characters. */
static void close_with(struct connection *connection, const char *sentence)
{
    char reason[MOST_CLOSE_REASON + 1];
    size_t len = strlen(sentence);
    if (len > MOST_CLOSE_REASON)
        for (len = MOST_CLOSE_REASON; len > 0 && ((uint8_t)sentence[len] & 0xc0) == 0x80;)
            len--;
    snprintf(reason, sizeof reason, "%.*s", (int)len, sentence);
    connection_close(connection, 4503, reason);
}

void session_put_out(struct session *session, const struct message_error *error)
{
    if (session->state == SESSION_OVER)
        return;
    if (session->state == SESSION_OPENING)
        session_refuse_join(session, error);
    else if (session->connection != NULL && error->code != NULL)
        session_error(session, error);
    if (session_is_member(session)) {
        if (session->state == SESSION_DETACHED)
            session->all->options.metrics->detached--;
        session_end_joining(session);
        session_leave(session, true);
    }
    if (session->connection != NULL)
        close_with(session->connection, error->message);
    session_free_if_over(session);
}
