#include "broker/script_settings.h"

#include "base/text.h"

enum {
    MEMBER_TTL_LEASES = 24,
    SHORTEST_NONCE_S = 60,
    NONCES_LEAST = 1000,
    PAGE_LEAST_BYTES = 1 << 20,
    NAMES_BYTES = 256 << 20, /* of all rooms of a gateway that is dead, of a million */
    STRING_BYTES = 17 << 20, /* the longest message that another gateway may take */
};

uint64_t script_settings_member_ttl(const struct config *config)
{
    uint64_t leases = config->lease * MEMBER_TTL_LEASES;
    uint64_t reaping = (config->lease + config->leave_grace) * 3; /* outlives its own funeral */
    return leases > reaping ? leases : reaping;
}

/* Renewed with the members: it outlives the events that are kept after the last of them left. */
static uint64_t head_ttl(const struct config *config)
{
    return script_settings_member_ttl(config) + config->retention;
}

/* As many nonces as a member can use within `retention`. */
static uint64_t most_nonces(const struct config *config)
{
    if (config->rate.per_second <= 0)
        return config->retention_messages > NONCES_LEAST ? config->retention_messages
                                                         : NONCES_LEAST;
    uint64_t most =
        (uint64_t)(config->rate.per_second * (double)config->retention + config->rate.burst);
    return most > NONCES_LEAST ? most : NONCES_LEAST;
}

/* Two messages of other gateways, which may have larger ones, fit in. */
static uint64_t page_bytes(const struct config *config)
{
    uint64_t most = config->max_message * 2;
    return most > PAGE_LEAST_BYTES ? most : PAGE_LEAST_BYTES;
}

/* The longest are many names, or a page of kept events: all of it, one event more, and what is
 * known of each. */
struct redis_replies_most script_settings_most_reply(const struct config *config)
{
    return (struct redis_replies_most){.bytes = (size_t)(NAMES_BYTES + 4 * page_bytes(config)),
                                       .string_bytes = (size_t)(STRING_BYTES + page_bytes(config))};
}

void script_settings_init(struct script_settings *settings, const struct config *config)
{
    uint64_t nonce_ttl =
        config->retention > SHORTEST_NONCE_S ? config->retention : SHORTEST_NONCE_S;
    text_number(head_ttl(config), settings->head_ttl);
    text_number(config->retention, settings->retention);
    text_number(config->retention_messages, settings->most_kept);
    text_number(script_settings_member_ttl(config), settings->member_ttl);
    text_number(config->max_members, settings->most_members);
    text_number(most_nonces(config), settings->most_nonces);
    text_number(nonce_ttl, settings->nonce_ttl);
    text_number(page_bytes(config), settings->page_bytes);
}
