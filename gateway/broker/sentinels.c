#include "broker/sentinels.h"

#include "base/clock.h"
#include "base/memory.h"
#include "broker/password.h"
#include "redis/sentinel.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_HOLD_MS = 3000, /* less than a command's deadline; a Sentinel promotes within one or two */
    DISTRUST_MS = 60000, /* so long no Sentinel is believed that it promotes, after it did not */
};

static const char moved[] = "the Sentinels name another master";

struct sentinels {
    struct sentinels_options options;
    struct sentinel *sentinel;
    struct redis_url login; /* to Sentinels: its password as it was last read */
    struct password password;
    char where[REDIS_URL_TEXT_BYTES]; /* the master; "": none was named yet */
    bool failure_logged;              /* that nobody answers */
    struct event *hold_end;           /* commands are held until then at most */
    bool is_promised;                 /* they are held because a Sentinel promotes a replica */
    int64_t held_in_vain_ms;          /* when it last did not, after all; 0: never */
};

/* --- Commands that wait for another master --- */

static void hold_commands(struct sentinels *sentinels, bool is_promised)
{
    const struct timeval most = {.tv_sec = MOST_HOLD_MS / 1000};
    sentinels->is_promised = is_promised;
    redis_hold(sentinels->options.commands);
    evtimer_add(sentinels->hold_end, &most);
}

static void on_hold_end(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct sentinels *sentinels = arg;
    if (redis_release(sentinels->options.commands) && sentinels->is_promised)
        sentinels->held_in_vain_ms = clock_monotonic_ms();
}

/* What the old master has taken it answers with the outcome unknown; what comes from here on waits
 * for the new one, a moment. */
static void move_connections(struct sentinels *sentinels)
{
    redis_move(sentinels->options.subscriber, moved);
    redis_move(sentinels->options.commands, moved);
    durability_move(sentinels->options.durability, moved);
    hold_commands(sentinels, false);
}

/* --- The log --- */

static void log_master(const struct sentinels *sentinels, const char *before,
                       const struct sentinel_master *master)
{
    char message[2 * REDIS_URL_TEXT_BYTES + 256];
    char epoch[32] = "";
    if (master->epoch != 0)
        snprintf(epoch, sizeof epoch, " in epoch %" PRIu64, master->epoch);
    snprintf(message, sizeof message, "the master \"%s\" is %s%s%s; the Sentinels say so%s: %s",
             sentinels->options.config->redis_url.service, sentinels->where,
             before[0] == '\0' ? "" : ", and was ", before, epoch, master->why);
    log_write(sentinels->options.log,
              &(struct log_line){.kind = "redis-master", .message = message});
}

static void on_asked(void *arg, const char *why)
{
    struct sentinels *sentinels = arg;
    if (why != NULL && !sentinels->failure_logged)
        log_write(sentinels->options.log,
                  &(struct log_line){
                      .level = LOG_LEVEL_WARN,
                      .kind = "redis-sentinels",
                      .message = sentinels->where[0] == '\0'
                                     ? "it is not known where the master is; asking until it is"
                                     : "a failover would go unnoticed; asking until somebody "
                                       "answers",
                      .err = why,
                  });
    sentinels->failure_logged = why != NULL;
}

/* --- What the Sentinels say --- */

static void on_master(void *arg, const struct sentinel_master *master)
{
    struct sentinels *sentinels = arg;
    struct redis_url *url = sentinels->options.url;
    char before[REDIS_URL_TEXT_BYTES];
    memcpy(before, sentinels->where, sizeof before);
    *url = redis_url_of_server(url, master->host.name, master->host.port);
    redis_url_format(url, sentinels->where);
    sentinels->options.metrics->redis_moves += before[0] != '\0';
    log_master(sentinels, before, master);
    move_connections(sentinels);
}

static void on_promoting(void *arg)
{
    struct sentinels *sentinels = arg;
    bool in_vain = sentinels->held_in_vain_ms != 0 &&
                   clock_monotonic_ms() - sentinels->held_in_vain_ms < DISTRUST_MS;
    const struct redis *commands = sentinels->options.commands;
    if (!in_vain && redis_is_ready(commands) &&
        !redis_is_held(commands)) /* what is held is not held for longer */
        hold_commands(sentinels, true);
}

void sentinels_reread_password(struct sentinels *sentinels)
{
    if (sentinels == NULL)
        return;
    sentinels->password.failure_logged = false;
    password_reread(&sentinels->password);
    sentinel_set_password(sentinels->sentinel, sentinels->login.password);
}

static void on_login_refused(void *arg)
{
    struct sentinels *sentinels = arg;
    password_reread(&sentinels->password);
    sentinel_set_password(sentinels->sentinel, sentinels->login.password);
}

/* --- What the connections say --- */

void sentinels_on_ready(struct sentinels *sentinels)
{
    if (sentinels != NULL)
        sentinel_trust(sentinels->sentinel);
}

bool sentinels_on_lost(struct sentinels *sentinels, const char *why)
{
    if (sentinels == NULL)
        return true;
    if (strcmp(why, REDIS_NO_MASTER) == 0)
        sentinel_refute(sentinels->sentinel);
    else
        sentinel_doubt(sentinels->sentinel);
    return strcmp(why, moved) != 0;
}

const char *sentinels_why_lost(const struct sentinels *sentinels)
{
    const char *why = sentinels == NULL ? NULL : sentinel_why_none(sentinels->sentinel);
    return why == NULL ? "Redis is not connected yet" : why;
}

/* --- The whole --- */

struct sentinels *sentinels_new(const struct sentinels_options *options)
{
    static const struct sentinel_callbacks callbacks = {
        .on_master = on_master,
        .on_promoting = on_promoting,
        .on_asked = on_asked,
        .on_login_refused = on_login_refused,
    };
    const struct config *config = options->config;
    if (config->redis_url.scheme != REDIS_SENTINEL)
        return NULL;
    char name[96];
    snprintf(name, sizeof name, "yukizuri-%s", config->gateway_id);
    struct sentinels *sentinels = memory_new(sizeof *sentinels);
    sentinels->options = *options;
    sentinels->hold_end = evtimer_new(options->base, on_hold_end, sentinels);
    memcpy(sentinels->login.password, config->sentinel_password, sizeof sentinels->login.password);
    sentinels->password = (struct password){config->sentinel_password_file, &sentinels->login,
                                            options->log, "sentinel-password-file", false};
    const struct sentinel_options sentinel = {
        .base = options->base,
        .url = &config->redis_url,
        .user = config->sentinel_user,
        .password = config->sentinel_password,
        .tls = options->tls,
        .client_name = name,
        .metrics = options->metrics,
    };
    sentinels->sentinel = sentinel_new(&sentinel, &callbacks, sentinels);
    return sentinels;
}

void sentinels_free(struct sentinels *sentinels)
{
    if (sentinels == NULL)
        return;
    sentinel_free(sentinels->sentinel);
    event_free(sentinels->hold_end);
    free(sentinels);
}
