#include "session/grace_clock.h"

#include "base/clock.h"

int64_t session_grace_clock(const struct sessions *all)
{
    return clock_monotonic_ms() - all->away_ms;
}

void session_grace_clock_tick(struct sessions *all)
{
    bool flows = bus_flows(all->options.bus);
    int64_t known_ms = flows ? bus_proven_ms(all->options.bus) : clock_monotonic_ms();
    int64_t away_ms = known_ms - all->looked_at_ms;
    if ((all->away || !flows) && all->looked_at_ms != 0)
        all->away_ms += away_ms;
    all->outage_ms = all->away || !flows ? all->outage_ms + away_ms : 0;
    if (flows &&
        all->outage_ms > (int64_t)script_settings_member_ttl(all->options.config) * 1000 / 4)
        rooms_doubt_rosters(all->rooms); /* members' keys may have run out, and nobody told */
    all->looked_at_ms = known_ms;
    all->away = !flows;
}
