#include "config/address_rates.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/table.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_MEMORY_MS = 86400000 /* however slowly a bucket fills */ };

/* An address that has done something lately. */
struct usage {
    struct link link; /* in rates->usages */
    uint8_t unit[16];
    uint32_t at_ms; /* when it was filled: low bits of the monotonic clock */
    float tokens[ADDRESS_RATES];
};

static_assert(sizeof(struct usage) <= 64, "as address_rates.h says");

struct address_rates {
    struct rate_limit limits[ADDRESS_RATES];
    uint32_t full_after_ms; /* then all buckets of a quiet address are full */
    struct table *by_unit;
    struct link usages; /* the longest quiet first */
};

static struct table_key key_of(const void *value)
{
    const struct usage *usage = value;
    return (struct table_key){usage->unit, sizeof usage->unit};
}

/* --- Life --- */

static struct rate_limit multiply(const struct rate_limit *limit, double factor)
{
    return (struct rate_limit){limit->per_second * factor, limit->burst * factor};
}

/* A bucket in debt takes longer to fill than an empty one: a debt of more than a burst is forgiven.
 */
static uint32_t find_full_after_ms(const struct rate_limit limits[ADDRESS_RATES])
{
    double longest_ms = 1000;
    for (int kind = 0; kind < ADDRESS_RATES; kind++)
        if (limits[kind].per_second > 0)
            longest_ms = fmax(longest_ms, 2000 * limits[kind].burst / limits[kind].per_second);
    return (uint32_t)fmin(longest_ms, LONGEST_MEMORY_MS);
}

struct address_rates *address_rates_new(const struct config *config)
{
    struct address_rates *rates = memory_new(sizeof *rates);
    const struct rate_limit limits[ADDRESS_RATES] = {
        [ADDRESS_WORDS] = config->rate_per_address,
        [ADDRESS_SIGNS] = multiply(&config->rate_per_address, ADDRESS_SIGNS_FACTOR),
        [ADDRESS_BYTES] = config->bytes_per_address,
        [ADDRESS_JOINS] = config->joins_per_address,
        [ADDRESS_ROOMS] = config->rooms_per_address,
        [ADDRESS_BAD] = config->bad_per_address,
        [ADDRESS_HANDSHAKES] = config->handshakes_per_address,
    };
    memcpy(rates->limits, limits, sizeof limits);
    rates->full_after_ms = find_full_after_ms(limits);
    rates->by_unit = table_new(key_of);
    list_init(&rates->usages);
    return rates;
}

static void forget_first(struct address_rates *rates)
{
    struct usage *usage = LIST_ITEM(rates->usages.next, struct usage, link);
    table_remove(rates->by_unit, usage);
    list_remove(&usage->link);
    free(usage);
}

void address_rates_free(struct address_rates *rates)
{
    if (rates == NULL)
        return;
    while (!list_is_empty(&rates->usages))
        forget_first(rates);
    table_free(rates->by_unit);
    free(rates);
}

void address_rates_tick(struct address_rates *rates, int64_t now_ms)
{
    while (!list_is_empty(&rates->usages)) {
        const struct usage *usage = LIST_ITEM(rates->usages.next, struct usage, link);
        if ((uint32_t)now_ms - usage->at_ms < rates->full_after_ms)
            return;
        forget_first(rates);
    }
}

size_t address_rates_count(const struct address_rates *rates)
{
    return table_count(rates->by_unit);
}

/* --- Taking --- */

static struct usage *add_usage(struct address_rates *rates, const struct address *unit,
                               int64_t now_ms)
{
    if (table_count(rates->by_unit) >= ADDRESS_RATES_MOST)
        forget_first(rates);
    struct usage *usage = memory_new(sizeof *usage);
    memcpy(usage->unit, unit->bytes, sizeof usage->unit);
    usage->at_ms = (uint32_t)now_ms;
    for (int kind = 0; kind < ADDRESS_RATES; kind++)
        usage->tokens[kind] = (float)rates->limits[kind].burst;
    list_init(&usage->link);
    table_add(rates->by_unit, usage);
    return usage;
}

/* The address' usage, which is the least quiet one from here on. */
static struct usage *find_usage(struct address_rates *rates, const struct address *address,
                                int64_t now_ms)
{
    struct address unit = address_unit(address);
    struct usage *usage = table_find(rates->by_unit, unit.bytes, sizeof unit.bytes);
    if (usage == NULL)
        usage = add_usage(rates, &unit, now_ms);
    list_remove(&usage->link);
    list_add(&rates->usages, &usage->link);
    return usage;
}

static void fill(const struct address_rates *rates, struct usage *usage, int64_t now_ms)
{
    double passed_s = ((uint32_t)now_ms - usage->at_ms) / 1000.0;
    usage->at_ms = (uint32_t)now_ms;
    for (int kind = 0; kind < ADDRESS_RATES && passed_s > 0; kind++) {
        const struct rate_limit *limit = &rates->limits[kind];
        double tokens = (double)usage->tokens[kind] + passed_s * limit->per_second;
        usage->tokens[kind] = (float)fmin(tokens, limit->burst);
    }
}

double address_rates_take(struct address_rates *rates, const struct address *address,
                          enum address_rate kind, size_t amount, int64_t now_ms)
{
    if (rates == NULL || rates->limits[kind].per_second <= 0 || address_is_loopback(address))
        return 0;
    struct usage *usage = find_usage(rates, address, now_ms);
    fill(rates, usage, now_ms);
    double tokens = (double)usage->tokens[kind];
    if (tokens < 1)
        return fmax(0.1, (1 - tokens) / rates->limits[kind].per_second);
    usage->tokens[kind] = (float)(tokens - (double)amount);
    return 0;
}
