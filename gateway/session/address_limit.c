#include "session/address_limit.h"

#include "base/clock.h"
#include "session/pressure.h"
#include "session/session.h"

#include <math.h>

static const enum refusal reasons[ADDRESS_RATES] = {
    [ADDRESS_WORDS] = REFUSAL_RATE_PER_ADDRESS,
    [ADDRESS_SIGNS] = REFUSAL_RATE_PER_ADDRESS,
    [ADDRESS_BYTES] = REFUSAL_BYTES_PER_ADDRESS,
    [ADDRESS_JOINS] = REFUSAL_JOINS_PER_ADDRESS,
    [ADDRESS_ROOMS] = REFUSAL_ROOMS_PER_ADDRESS,
    [ADDRESS_BAD] = REFUSAL_BAD_PER_ADDRESS,
    [ADDRESS_HANDSHAKES] = REFUSAL_HANDSHAKES_PER_ADDRESS,
};

static double take(struct session *session, enum address_rate kind, size_t amount)
{
    const struct sessions_options *options = &session->all->options;
    char text[ADDRESS_TEXT_BYTES];
    if (session->uncounted)
        return 0;
    double wait_s = address_rates_take(options->address_rates, &session->address, kind, amount,
                                       clock_monotonic_ms());
    if (wait_s <= 0)
        return 0;
    session_format_address(session, text);
    refusals_note(options->refusals, reasons[kind], text);
    return wait_s;
}

double session_address_wait(struct session *session, enum address_rate kind)
{
    return take(session, kind, 1);
}

bool session_address_allows(struct session *session, enum address_rate kind, const char *nonce)
{
    bool dear = pressure_level(session->all->pressure) >= PRESSURE_COSTS;
    double wait_s = take(session, kind, dear ? 2 : 1);
    if (wait_s <= 0)
        return true;
    session_error(session, &(struct message_error){
                               .code = "too_fast",
                               .message = "Too much comes from your address; please wait a moment.",
                               .nonce = nonce,
                               .retry_after = ceil(wait_s * 10) / 10, /* told in tenths */
                               .not_accepted = nonce != NULL,
                           });
    return false;
}

static void close_if_over(struct session *session, double wait_s)
{
    if (wait_s > 0)
        connection_close(session->connection, 4429,
                         "too much comes from your address: come back after a wait");
}

bool session_allows_bad(struct session *session)
{
    double wait_s = take(session, ADDRESS_BAD, 1);
    close_if_over(session, wait_s);
    return wait_s <= 0;
}

void session_on_bytes(void *owner, size_t len)
{
    struct session *session = owner;
    if (!connection_is_closing(session->connection))
        close_if_over(session, take(session, ADDRESS_BYTES, len));
}
