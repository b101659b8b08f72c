#include "session/grace_clock.h"

#include "base/clock.h"

int64_t session_grace_clock(const struct sessions *all)
{
    int64_t now_ms = all->away_since_ms != 0 ? all->away_since_ms : clock_monotonic_ms();
    return now_ms - all->away_ms;
}

static void end_outage(struct sessions *all)
{
    int64_t outage_ms = broker_last_ok_ms(all->options.broker) - all->away_since_ms;
    all->away_ms += outage_ms;
    all->away_since_ms = 0;
    if (outage_ms > script_settings_long_outage_ms(all->options.config))
        rooms_refresh_rosters(all->rooms); /* members' keys may have run out, and nobody told */
}

/* Members' keys on a node that is here again after so long have run out, too. */
static void note_returned(struct sessions *all)
{
    size_t given_up = redis_count_given_up(broker_commands(all->options.broker)->redis);
    if (given_up < all->given_up)
        rooms_refresh_rosters(all->rooms);
    all->given_up = given_up;
}

void session_grace_clock_tick(struct sessions *all)
{
    bool healthy = broker_is_healthy(all->options.broker);
    int64_t last_ok_ms = broker_last_ok_ms(all->options.broker);
    if (healthy && all->away_since_ms != 0)
        end_outage(all);
    else if (!healthy && all->away_since_ms == 0)
        all->away_since_ms = last_ok_ms != 0 ? last_ok_ms : clock_monotonic_ms();
    note_returned(all);
}
