#include "broker/script_settings.h"

#include <stddef.h>

enum {
    MEMBER_TTL_LEASES = 24,
    SHORTEST_NONCE_S = 60,
    NONCES_LEAST = 1000,
    PAGE_LEAST_BYTES = 1 << 20,
    NAMES_BYTES = 256 << 20, /* of all rooms of a gateway that is dead, of a million */
    STRING_BYTES = 17 << 20, /* the longest message that another gateway may take */
};

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* It outlives the reaping of its gateway. */
uint64_t script_settings_member_ttl(const struct config *config)
{
    return max(config->lease * MEMBER_TTL_LEASES, (config->lease + config->leave_grace) * 3);
}

/* They are renewed by the time that a half is left, and late on a busy gateway. */
int64_t script_settings_long_outage_ms(const struct config *config)
{
    return (int64_t)script_settings_member_ttl(config) * 1000 / 4;
}

uint64_t script_settings_head_ttl(const struct config *config)
{
    return script_settings_member_ttl(config) + config->retention;
}

uint64_t script_settings_nonce_ttl(const struct config *config)
{
    return max(config->retention, SHORTEST_NONCE_S);
}

uint64_t script_settings_most_nonces(const struct config *config)
{
    double per_second = config->rate.per_second;
    double most = per_second * (double)config->retention + config->rate.burst;
    return max(per_second <= 0 ? config->retention_messages : (uint64_t)most, NONCES_LEAST);
}

uint64_t script_settings_page_bytes(const struct config *config)
{
    return max(config->max_message * 2, PAGE_LEAST_BYTES);
}

bool script_settings_sharded(const struct config *config)
{
    return config->redis_sharded_pubsub && config->redis_url.scheme == REDIS_CLUSTER;
}

const char *script_settings_pubsub(const struct config *config)
{
    if (config->redis_url.scheme != REDIS_CLUSTER)
        return NULL;
    return script_settings_sharded(config) ? "sharded" : "classic";
}

/* The longest are many names, or a page of kept events: all of it, one event more, and what is
 * known of each. */
struct redis_reply_limits script_settings_reply_limits(const struct config *config)
{
    uint64_t page_bytes = script_settings_page_bytes(config);
    return (struct redis_reply_limits){.bytes = (size_t)(NAMES_BYTES + 4 * page_bytes),
                                       .string_bytes = (size_t)(STRING_BYTES + page_bytes)};
}
