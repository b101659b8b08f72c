#include "session/pressure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "broker/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RAISED_MOST = PRESSURE_WORK, /* by itself it never shuts people out */
    FALL_MS = 10000,             /* of calm, for each step down */
};

struct pressure {
    const struct commands *commands; /* the broker's */
    struct key key;
    unsigned ordered;         /* what Redis has */
    int64_t ordered_until_ms; /* Redis' clock; 0: it has no end, or is not known */
    unsigned raised;          /* by itself */
    uint64_t newcomers;       /* since the last tick */
    int64_t busy_ms;          /* when there were last too many */
    unsigned logged;
    bool asking;
};

static unsigned find_ordered(const struct pressure *pressure)
{
    bool over = pressure->ordered_until_ms != 0 &&
                pressure->ordered_until_ms <= commands_now_ms(pressure->commands);
    return over ? 0 : pressure->ordered;
}

unsigned pressure_level(const struct pressure *pressure)
{
    unsigned level = (unsigned)pressure->commands->config->pressure;
    unsigned ordered = find_ordered(pressure);
    level = ordered > level ? ordered : level;
    return pressure->raised > level ? pressure->raised : level;
}

int64_t pressure_until_ms(const struct pressure *pressure)
{
    unsigned ordered = find_ordered(pressure);
    bool decides = ordered > pressure->raised && ordered > pressure->commands->config->pressure;
    return decides ? pressure->ordered_until_ms : 0;
}

void pressure_note_newcomer(struct pressure *pressure)
{
    pressure->newcomers++;
}

static const char *find_cause(const struct pressure *pressure)
{
    unsigned ordered = find_ordered(pressure),
             setting = (unsigned)pressure->commands->config->pressure;
    if (pressure->raised > ordered && pressure->raised > setting)
        return "because of pressure-joins";
    return ordered > setting ? "as an operator has ordered" : "as the setting has it";
}

static void log_level(struct pressure *pressure)
{
    char level[12], before[12];
    unsigned now = pressure_level(pressure);
    pressure->commands->metrics->pressure = now;
    if (now == pressure->logged)
        return;
    snprintf(level, sizeof level, "%u", now);
    snprintf(before, sizeof before, "%u", pressure->logged);
    log_write(pressure->commands->log,
              &(struct log_line){
                  .level = now > pressure->logged ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                  .kind = "pressure",
                  .message = find_cause(pressure),
                  .more = (const char *const[]){"pressure", level, "before", before, NULL},
              });
    pressure->logged = now;
}

/* --- What the operator has ordered --- */

/* Then what was ordered holds until its end. Of a key of another type, and of one that Redis' user
 * may not read, it is known that it orders nothing. */
static bool tells_nothing(const struct redis_reply *reply)
{
    return redis_reply_is_error(reply) && !redis_reply_has_error(reply, "WRONGTYPE") &&
           !redis_reply_has_error(reply, "NOPERM");
}

/* Anything but a digit from 0 to 3 is no order. */
static void on_level(void *arg, const struct redis_reply *reply)
{
    struct pressure *pressure = arg;
    size_t len = 0;
    const char *text = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, &len);
    if (tells_nothing(reply))
        return;
    bool good = text != NULL && len == 1 && text[0] >= '0' && text[0] <= '3';
    pressure->ordered = good ? (unsigned)(text[0] - '0') : 0;
}

static void on_end(void *arg, const struct redis_reply *reply)
{
    struct pressure *pressure = arg;
    int64_t left_ms = redis_reply_is_error(reply) ? -1 : redis_reply_integer(reply);
    pressure->asking = false;
    if (!tells_nothing(reply))
        pressure->ordered_until_ms = commands_end_ms(pressure->commands, left_ms);
    log_level(pressure);
}

static void ask(struct pressure *pressure)
{
    struct redis *redis = pressure->commands->redis;
    if (pressure->asking)
        return;
    redis_send_strings(redis, on_level, pressure, "GET", pressure->key.text, NULL);
    pressure->asking =
        redis_send_strings(redis, on_end, pressure, "PTTL", pressure->key.text, NULL) == 0;
}

/* --- What it does by itself --- */

static void judge_newcomers(struct pressure *pressure)
{
    uint64_t most = pressure->commands->config->pressure_joins;
    int64_t now_ms = clock_monotonic_ms();
    bool busy = most > 0 && pressure->newcomers > most;
    pressure->newcomers = 0;
    if (busy && pressure->raised < RAISED_MOST)
        pressure->raised++;
    if (busy)
        pressure->busy_ms = now_ms;
    if (pressure->raised == 0 || now_ms - pressure->busy_ms < FALL_MS)
        return;
    pressure->raised--;
    pressure->busy_ms = now_ms;
}

void pressure_tick(struct pressure *pressure)
{
    judge_newcomers(pressure);
    ask(pressure);
    log_level(pressure);
}

/* --- Life --- */

struct pressure *pressure_new(const struct commands *commands)
{
    struct pressure *pressure = memory_new(sizeof *pressure);
    pressure->commands = commands;
    pressure->key = key_part(commands->config->redis_prefix, "pressure");
    return pressure;
}

void pressure_free(struct pressure *pressure)
{
    free(pressure);
}
