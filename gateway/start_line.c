#include "start_line.h"

#include "base/file_limit.h"
#include "base/text.h"

#include <inttypes.h>
#include <stddef.h>

static void add_addresses(struct text *out, const struct config *config)
{
    for (size_t i = 0; i < config->addr.count; i++)
        text_print(out, "%slistening on %s", i == 0 ? "" : ", ", config->addr.items[i]);
}

static void add_redis(struct text *out, const struct start_facts *facts)
{
    char where[REDIS_URL_TEXT_BYTES];
    redis_url_format(facts->redis, where);
    text_print(out, "; Redis: %s%s, prefix %s", where,
               facts->config->redis_url.scheme == REDIS_EMBEDDED ? " (its own)" : "",
               facts->config->redis_prefix);
}

/* As the settings are called, so that they can be found. */
static void add_limits(struct text *out, const struct start_facts *facts)
{
    const struct config *config = facts->config;
    const struct {
        const char *name;
        uint64_t value;
    } limits[] = {
        {"descriptors", file_limit_get()},
        {"max-connections", facts->max_connections},
        {"max-connections-per-address", config->max_connections_per_address},
        {"max-members", config->max_members},
        {"max-text", config->max_text},
        {"max-message", config->max_message},
        {"max-head", config->max_head},
        {"backlog", config->backlog},
        {"retention", config->retention},
        {"retention-messages", config->retention_messages},
        {"leave-grace", config->leave_grace},
        {"lease", config->lease},
        {"ping", config->ping},
        {"keep-alive", config->keep_alive},
        {"drain", config->drain},
        {"drain-delay", config->drain_delay},
    };
    text_print(out, "; limits (0: none): rate %g:%g", config->rate.per_second, config->rate.burst);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        text_print(out, ", %s %" PRIu64, limits[i].name, limits[i].value);
}

void start_line_tell(struct log *log, const struct start_facts *facts)
{
    struct text line = TEXT_EMPTY;
    add_addresses(&line, facts->config);
    text_add_string(&line, "; yukizuri " YUKIZURI_VERSION);
    add_redis(&line, facts);
    text_print(&line, "; sending by %s", sender_uses_uring(facts->sender) ? "io_uring" : "writev");
    add_limits(&line, facts);
    log_write(log, &(struct log_line){.kind = "start", .message = line.data});
    text_done(&line);
}
