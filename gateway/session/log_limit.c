#include "session/log_limit.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

enum { TELL_EVERY_MS = 60000 };

static const struct rate_limit limit = {.per_second = 10, .burst = 100};

static bool is_stranger(const struct session *session)
{
    return session->identity == NULL || session->identity->id[0] == '\0';
}

void session_init_strangers(struct sessions *all)
{
    all->strangers.rate = rate_new(&limit, clock_monotonic_ms());
}

/* Who comes and goes shall not hide who floods: warnings are counted by themselves. */
bool session_may_log(const struct session *session, enum log_level level)
{
    struct sessions *all = session->all;
    enum rate_kind kind = level == LOG_LEVEL_WARN ? RATE_SIGNS : RATE_WORDS;
    if (!is_stranger(session) ||
        rate_take(&all->strangers.rate, &limit, kind, clock_monotonic_ms()))
        return true;
    all->strangers.untold++;
    return false;
}

void session_strangers_tick(struct sessions *all)
{
    char count[24];
    struct strangers *strangers = &all->strangers;
    int64_t now_ms = clock_monotonic_ms();
    if (strangers->untold == 0 ||
        (strangers->told_ms != 0 && now_ms - strangers->told_ms < TELL_EVERY_MS))
        return;
    snprintf(count, sizeof count, "%" PRIu64, strangers->untold);
    log_write(all->options.log,
              &(struct log_line){
                  .level = LOG_LEVEL_WARN,
                  .kind = "strangers",
                  .message = "lines about people who have not joined are left out: there are more "
                             "than 10 a second",
                  .more = (const char *const[]){"count", count, NULL},
              });
    strangers->told_ms = now_ms;
    strangers->untold = 0;
}
