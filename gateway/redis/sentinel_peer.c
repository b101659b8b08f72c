#include "redis/sentinel_peer.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWITCHED  "+switch-master"
#define PROMOTING "+failover-state-send-slaveof-noone"

enum { ID_BYTES = 41, MOST_OTHERS = 64, ANSWER_BYTES = 1 << 18, STRING_BYTES = 1 << 16 };

struct sentinel_peer {
    struct sentinel_peer_options options;
    struct redis_url url;
    unsigned address_index;
    struct redis_connection *questions;
    struct redis_connection *events;
    bool asked, ask_again;
    bool ignorant;
    bool login_refused; /* by the present connection */
    bool stopped;
    struct sentinel_answer answer;
    char id[ID_BYTES];
    char why[400];
};

static void set_why(struct sentinel_peer *peer, const char *why)
{
    char where[REDIS_URL_TEXT_BYTES];
    redis_url_format(&peer->url, where);
    snprintf(peer->why, sizeof peer->why, "the Sentinel at %.120s: %s",
             strstr(where, "://") == NULL ? where : strstr(where, "://") + 3, why);
}

static const char *string_at(const struct redis_reply *reply, size_t index)
{
    return redis_reply_string(redis_reply_at(reply, index), NULL);
}

/* A field of what Sentinel tells about a server: names and values by turns. */
static const struct redis_reply *field_of(const struct redis_reply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < redis_reply_count(reply); i += 2) {
        const char *field = string_at(reply, i);
        if (field != NULL && strcmp(field, name) == 0)
            return redis_reply_at(reply, i + 1);
    }
    return NULL;
}

/* False when that is no host that could be connected to. */
static bool read_host(const struct redis_reply *host, int64_t port, struct redis_host *out)
{
    const char *name = redis_reply_text(host, sizeof out->name - 1);
    if (!redis_url_is_host(name) || port < 1 || port > 65535)
        return false;
    snprintf(out->name, sizeof out->name, "%s", name);
    out->port = (int)port;
    return true;
}

/* --- The question --- */

/* Some may not ask for it: then all configurations are as new. */
static void on_epoch(void *arg, const struct redis_reply *reply)
{
    struct sentinel_peer *peer = arg;
    bool told = !redis_reply_is_error(reply);
    peer->answer.epoch = told ? redis_reply_number(field_of(reply, "config-epoch")) : 0;
}

static void note_refusal(struct sentinel_peer *peer, const struct redis_error *error)
{
    char why[256];
    if (strstr(error->text, "unknown command") != NULL)
        snprintf(why, sizeof why,
                 "what answers there is no Sentinel; name the Sentinels' ports (26379), or write "
                 "redis://");
    else
        snprintf(why, sizeof why, "refused: %s", error->text);
    set_why(peer, why);
}

static void read_answer(struct sentinel_peer *peer, const struct redis_reply *reply)
{
    struct redis_error error;
    peer->answer.given =
        !redis_reply_is_error(reply) &&
        read_host(redis_reply_at(reply, 0), redis_reply_integer(redis_reply_at(reply, 1)),
                  &peer->answer.master);
    peer->ignorant = !redis_reply_is_error(reply) && redis_reply_count(reply) == 0;
    peer->why[0] = '\0';
    if (redis_reply_error(reply, &error))
        note_refusal(peer, &error);
    else if (reply == NULL)
        set_why(peer, "it does not answer");
    else if (peer->ignorant)
        set_why(peer, "it knows no such master");
    else if (!peer->answer.given)
        set_why(peer, "what it names is no host and no port");
}

static void on_address(void *arg, const struct redis_reply *reply)
{
    struct sentinel_peer *peer = arg;
    peer->asked = false;
    if (peer->stopped)
        return;
    read_answer(peer, reply);
    if (reply != NULL)
        redis_connection_reset_backoff(peer->questions);
    else
        redis_connection_reconnect(peer->questions, "it does not answer");
    if (peer->ask_again)
        sentinel_peer_ask(peer);
    peer->options.callbacks->on_answer(peer->options.arg, peer);
}

static void on_alive(void *arg, const struct redis_reply *reply)
{
    struct sentinel_peer *peer = arg;
    if (reply != NULL)
        redis_connection_reset_backoff(peer->events);
    else
        redis_connection_reconnect(peer->events, "it does not answer");
}

static void on_others(void *arg, const struct redis_reply *reply)
{
    struct sentinel_peer *peer = arg;
    for (size_t i = 0; i < redis_reply_count(reply) && i < MOST_OTHERS; i++) {
        const struct redis_reply *other = redis_reply_at(reply, i);
        const char *id = redis_reply_string(field_of(other, "runid"), NULL);
        struct redis_host host;
        if (id != NULL && id[0] != '\0' &&
            read_host(field_of(other, "ip"), redis_reply_integer(field_of(other, "port")), &host))
            peer->options.callbacks->on_other(peer->options.arg, &host, id);
    }
}

static void on_id(void *arg, const struct redis_reply *reply)
{
    struct sentinel_peer *peer = arg;
    const char *id = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, NULL);
    if (reply == NULL)
        return; /* it is as it was */
    snprintf(peer->id, sizeof peer->id, "%s", id == NULL ? "" : id);
}

/* As redis_connection_send_strings, of what its user need not be allowed. */
static void ask_optionally(struct sentinel_peer *peer, redis_done done, const char *what,
                           const char *name)
{
    if (redis_connection_send_strings(peer->questions, done, peer, "SENTINEL", what, name, NULL) ==
        0)
        redis_connection_mark_optional(peer->questions);
}

void sentinel_peer_ask(struct sentinel_peer *peer)
{
    peer->ask_again = peer->asked;
    if (peer->asked || !redis_connection_is_ready(peer->questions))
        return;
    peer->asked = true;
    ask_optionally(peer, on_epoch, "MASTER", peer->options.service);
    redis_connection_send_strings(peer->questions, on_address, peer, "SENTINEL",
                                  "GET-MASTER-ADDR-BY-NAME", peer->options.service, NULL);
    redis_connection_flush(peer->questions);
    if (redis_connection_send_strings(peer->events, on_alive, peer, "PING", NULL) == 0)
        redis_connection_flush(peer->events);
}

void sentinel_peer_ask_for_others(struct sentinel_peer *peer)
{
    ask_optionally(peer, on_others, "SENTINELS", peer->options.service);
    redis_connection_flush(peer->questions);
}

/* --- Connections --- */

static void on_questions_ready(void *arg)
{
    struct sentinel_peer *peer = arg;
    ask_optionally(peer, on_id, "MYID", NULL);
    peer->options.callbacks->on_ready(peer->options.arg, peer);
    redis_connection_flush(peer->questions);
}

static void on_questions_lost(void *arg, const char *why)
{
    struct sentinel_peer *peer = arg;
    peer->answer.given = false;
    peer->ignorant = false;
    set_why(peer, peer->login_refused ? "it refuses the password: sentinel-password-file must have "
                                        "it, and sentinel-user its user, if it has one"
                                      : why);
    peer->login_refused = false;
    peer->options.callbacks->on_answer(peer->options.arg, peer);
}

static void on_events_ready(void *arg)
{
    static const char *const channels[] = {SWITCHED, PROMOTING};
    struct sentinel_peer *peer = arg;
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        redis_connection_send_strings(peer->events, NULL, NULL, "SUBSCRIBE", channels[i], NULL);
        redis_connection_mark_optional(peer->events);
    }
    redis_connection_flush(peer->events);
    peer->options.callbacks->on_ready(peer->options.arg, peer);
}

static void on_events_lost(void *arg, const char *why)
{
    (void)arg;
    (void)why; /* the other connection tells */
}

/* Is the word, the `index`-th of the text, this one? */
static bool has_word(const char *text, size_t index, const char *word)
{
    for (; index > 0 && text != NULL; index--) {
        text = strchr(text, ' ');
        text = text == NULL ? NULL : text + 1;
    }
    size_t len = strlen(word);
    return text != NULL && strncmp(text, word, len) == 0 && (text[len] == ' ' || text[len] == '\0');
}

/* "NAME OLD-HOST OLD-PORT HOST PORT", and "slave ID HOST PORT @ NAME OLD-HOST OLD-PORT". Neither is
 * believed: it is a reason to ask. */
static void on_event(void *arg, const struct redis_reply *message)
{
    const struct sentinel_peer *peer = arg;
    const struct sentinel_peer_callbacks *callbacks = peer->options.callbacks;
    const char *channel = string_at(message, 1);
    const char *text = string_at(message, 2);
    if (channel == NULL || text == NULL)
        return;
    if (strcmp(channel, SWITCHED) == 0 && has_word(text, 0, peer->options.service))
        callbacks->on_switched(peer->options.arg);
    else if (strcmp(channel, PROMOTING) == 0 && has_word(text, 5, peer->options.service))
        callbacks->on_promoting(peer->options.arg);
}

static void on_error(void *arg, const struct redis_error *error)
{
    struct sentinel_peer *peer = arg;
    if (strcmp(error->word, "WRONGPASS") != 0 && strcmp(error->word, "NOAUTH") != 0)
        return; /* what it means is told by on_lost, or by the answer */
    peer->login_refused = true;
    peer->options.callbacks->on_login_refused(peer->options.arg);
}

static struct redis_connection *new_connection(struct sentinel_peer *peer, bool events)
{
    const struct redis_callbacks callbacks = {
        .on_ready = events ? on_events_ready : on_questions_ready,
        .on_lost = events ? on_events_lost : on_questions_lost,
        .on_error = on_error,
        .on_push = on_event,
    };
    const struct redis_options options = {
        .base = peer->options.base,
        .url = &peer->url,
        .role = REDIS_ROLE_SENTINEL,
        .address_index = &peer->address_index,
        .tls = peer->options.tls,
        .client_name = peer->options.client_name,
        .subscriber = events,
        .limits = {.bytes = ANSWER_BYTES, .string_bytes = STRING_BYTES},
        .metrics = peer->options.metrics,
    };
    return redis_connection_new(&options, &callbacks, peer);
}

struct sentinel_peer *sentinel_peer_new(const struct sentinel_peer_options *options)
{
    struct sentinel_peer *peer = memory_new(sizeof *peer);
    peer->options = *options;
    peer->url = *options->url;
    peer->questions = new_connection(peer, false);
    peer->events = new_connection(peer, true);
    return peer;
}

void sentinel_peer_free(struct sentinel_peer *peer)
{
    if (peer == NULL)
        return;
    peer->stopped = true;
    redis_connection_free(peer->questions);
    redis_connection_free(peer->events);
    free(peer);
}

void sentinel_peer_set_password(struct sentinel_peer *peer, const char *password)
{
    snprintf(peer->url.password, sizeof peer->url.password, "%s", password);
}

bool sentinel_peer_is_asked(const struct sentinel_peer *peer)
{
    return peer->asked;
}

const struct sentinel_answer *sentinel_peer_answer(const struct sentinel_peer *peer)
{
    return &peer->answer;
}

const char *sentinel_peer_why(const struct sentinel_peer *peer)
{
    return peer->why;
}

bool sentinel_peer_is_ignorant(const struct sentinel_peer *peer)
{
    return peer->ignorant;
}

const char *sentinel_peer_id(const struct sentinel_peer *peer)
{
    return peer->id;
}

const struct redis_url *sentinel_peer_url(const struct sentinel_peer *peer)
{
    return &peer->url;
}
