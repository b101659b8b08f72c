#include "session/say.h"

#include "base/memory.h"
#include "session/delivery_time.h"
#include "session/log.h"
#include "session/moderation.h"
#include "session/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOLD_IN_FLIGHT = 64, /* says of one member under way to Redis: nothing more is read from it, */
    RELEASE_IN_FLIGHT = 32, /* until so few are left */
};

/* A say under way; the nonce is answered, whatever became of the session's socket. */
struct saying {
    struct session *session;
    int64_t begun_us; /* when it came */
    bool current;     /* it names the epoch that the room's feed is in */
    char nonce[];     /* "" for none */
};

/* --- What becomes of it --- */

static void refuse_say(const struct saying *saying, struct message_error error)
{
    error.nonce = saying->nonce[0] != '\0' ? saying->nonce : NULL;
    session_error(saying->session, &error);
}

static void refuse_unavailable(const struct saying *saying, bool not_accepted)
{
    refuse_say(saying,
               (struct message_error){
                   .code = "unavailable",
                   .message = not_accepted
                                  ? "The chat cannot be reached right now, and your message was "
                                    "not sent. Please send it again."
                                  : "The chat cannot be reached right now, and nobody knows "
                                    "whether your message was sent. Sent again with the same "
                                    "nonce, it is shown once.",
                   .retry_after = 1,
                   .not_accepted = not_accepted,
               });
}

/* Whether there were other sendings of it, only its sayer knows. */
static void refuse_other_epoch(const struct saying *saying)
{
    refuse_say(saying,
               (struct message_error){
                   .code = "epoch_changed",
                   .message = "Not sent: the chat has begun anew since this was first said. "
                              "Please say it again if nobody has seen it.",
                   .not_accepted = true,
               });
}

static void answer_say(struct saying *saying, const struct redis_reply *reply)
{
    struct session *session = saying->session;
    uint64_t seq = redis_reply_number(reply);
    if (commands_is_other_epoch(reply)) {
        if (saying->current) /* else it may be anybody's invention */
            feed_check_epoch(room_feed(session->entry->room));
        refuse_other_epoch(saying);
        return;
    }
    if (seq == 0) {
        refuse_unavailable(
            saying, commands_not_accepted(broker_commands(session->all->options.broker), reply));
        return;
    }
    session->all->options.metrics->says++;
    session_await_delivery(session, seq, saying->begun_us);
    if (saying->nonce[0] == '\0')
        return;
    message_add_ack(&session->all->scratch, saying->nonce, seq);
    session_send(session);
}

static void hold(struct session *session, bool held)
{
    session->held = held;
    if (session->connection != NULL)
        connection_pause_reading(session->connection, held);
}

static void on_said(void *arg, const struct redis_reply *reply)
{
    struct saying *saying = arg;
    struct session *session = saying->session;
    session->in_flight--;
    session->all->pending_says--;
    if (session->held && session->in_flight <= RELEASE_IN_FLIGHT)
        hold(session, false);
    answer_say(saying, reply);
    free(saying);
    session_free_if_over(session);
}

/* --- Saying --- */

static struct saying *new_saying(struct session *session, const struct message_in *say)
{
    const char *nonce = say->nonce == NULL ? "" : say->nonce;
    struct saying *saying = memory_new(sizeof *saying + strlen(nonce) + 1);
    saying->session = session;
    saying->begun_us = session->all->options.metrics->iteration_begun_us;
    saying->current =
        say->epoch != NULL && strcmp(say->epoch, feed_epoch(room_feed(session->entry->room))) == 0;
    memcpy(saying->nonce, nonce, strlen(nonce) + 1);
    return saying;
}

static void publish(struct session *session, const struct message_in *say)
{
    struct text *body = &session->all->scratch;
    char *person = identity_person_json(session->identity);
    message_add_say(body, person, say);
    free(person);
    struct publish_batch_say call = {session->identity->id, body->data, body->len, say->nonce,
                                     say->epoch};
    struct saying *saying = new_saying(session, say);
    session->in_flight++;
    session->all->pending_says++;
    if (session->in_flight >= HOLD_IN_FLIGHT) /* without a rate limit, Redis limits it */
        hold(session, true);
    bool sent = commands_say(room_topic(session->entry->room), &call, on_said, saying) == 0;
    text_clear(body);
    if (sent)
        return;
    session->in_flight--;
    session->all->pending_says--;
    refuse_unavailable(saying, true);
    free(saying);
}

/* Redis does not keep up: what cannot be sent soon is not taken. */
static bool refuse_if_pending(struct session *session, const struct message_in *say)
{
    uint64_t most = session->all->options.config->max_pending;
    if (most == 0 || session->all->pending_says < most)
        return false;
    refusals_note(session->all->options.refusals, REFUSAL_MAX_PENDING, NULL);
    session_error(session, &(struct message_error){
                               .code = "unavailable",
                               .message = "The chat is too busy right now, and your message was "
                                          "not sent. Please send it again.",
                               .nonce = say->nonce,
                               .retry_after = 1,
                               .not_accepted = say->nonce != NULL,
                           });
    return true;
}

void session_say(struct session *session, const struct message_in *message)
{
    const struct config *config = session->all->options.config;
    if (config->max_text > 0 && message->text_characters > config->max_text) {
        char sentence[96];
        refusals_note(session->all->options.refusals, REFUSAL_MAX_TEXT, NULL);
        snprintf(sentence, sizeof sentence,
                 "That message is too long: at most %" PRIu64 " characters are allowed.",
                 config->max_text);
        session_error(session, &(struct message_error){.code = "too_long",
                                                       .message = sentence,
                                                       .nonce = message->nonce,
                                                       .not_accepted = message->nonce != NULL});
        return;
    }
    if (refuse_if_pending(session, message) || moderation_refuses_say(session, message->nonce))
        return;
    if (config->log_text)
        session_log(session, "say", message->text);
    publish(session, message);
}
