#include "process_log.h"

#include "base/clock.h"
#include "base/file_limit.h"
#include "base/text.h"
#include "server_internal.h"
#include "session/drain.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

static void add_addresses(struct text *out, const struct config *config)
{
    for (size_t i = 0; i < config->addr.count; i++)
        text_print(out, "%slistening on %s", i == 0 ? "" : ", ", config->addr.items[i]);
    if (config->worker_addr != NULL) {
        char text[LISTEN_TEXT_BYTES];
        listen_address_format(&config->worker_listen, text);
        text_print(out, " and alone on %s", text);
    }
}

static void add_redis(struct text *out, const struct server *server)
{
    char where[REDIS_URL_TEXT_BYTES];
    redis_url_format(&server->redis_url, where);
    text_print(out, "; Redis: %s%s, prefix %s", where,
               server->config->redis_url.scheme == REDIS_EMBEDDED ? " (its own)" : "",
               server->config->redis_prefix);
}

/* As the settings are called, so that they can be found. */
static void add_limits(struct text *out, const struct server *server)
{
    const struct config *config = server->config;
    const struct {
        const char *name;
        uint64_t value;
    } limits[] = {
        {"descriptors", file_limit_get()},
        {"max-connections", server->site.max_connections},
        {"max-connections-per-address", config->max_connections_per_address},
        {"max-members", config->max_members},
        {"max-rooms", config->max_rooms},
        {"max-pending", config->max_pending},
        {"max-unsent", config->max_unsent},
        {"max-text", config->max_text},
        {"max-message", config->max_message},
        {"max-fragments", config->max_fragments},
        {"max-head", config->max_head},
        {"backlog", config->backlog},
        {"retention", config->retention},
        {"retention-messages", config->retention_messages},
        {"retention-bytes", config->retention_bytes},
        {"retention-bytes-total", config->retention_bytes_total},
        {"leave-grace", config->leave_grace},
        {"lease", config->lease},
        {"ping", config->ping},
        {"keep-alive", config->keep_alive},
        {"drain", config->drain},
        {"drain-delay", config->drain_delay},
    };
    const struct {
        const char *name;
        const struct rate_limit *value;
    } rates[] = {
        {"rate-per-address", &config->rate_per_address},
        {"bytes-per-address", &config->bytes_per_address},
        {"joins-per-address", &config->joins_per_address},
        {"rooms-per-address", &config->rooms_per_address},
        {"bad-per-address", &config->bad_per_address},
        {"handshakes-per-address", &config->handshakes_per_address},
    };
    text_print(out, "; limits (0: none): rate %g:%g", config->rate.per_second, config->rate.burst);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        text_print(out, ", %s %.10g:%.10g", rates[i].name, rates[i].value->per_second,
                   rates[i].value->burst);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        text_print(out, ", %s %" PRIu64, limits[i].name, limits[i].value);
}

void process_log_start(const struct server *server)
{
    struct text line = TEXT_EMPTY;
    add_addresses(&line, server->config);
    text_add_string(&line, "; yukizuri " YUKIZURI_VERSION);
    add_redis(&line, server);
    text_print(&line, "; sending by %s",
               batch_send_uses_uring(server->sender) ? "io_uring" : "writev");
    add_limits(&line, server);
    log_write(server->log, &(struct log_line){.kind = "start", .message = line.data});
    text_done(&line);
}

void process_log_stop(const struct server *server)
{
    char message[200] = "";
    struct sessions_moves moves = sessions_moves(server->sessions);
    uint64_t cut = moves.closed + moves.left;
    uint64_t moved = moves.asked > cut ? moves.asked - cut : 0;
    double seconds = (double)(clock_monotonic_ms() - server->ending_since_ms) / 1e3;
    if (server->end_reason != NULL)
        snprintf(message, sizeof message,
                 "%s: %" PRIu64 " connections moved by themselves, %" PRIu64
                 " had to be cut, in %.1f s",
                 server->end_reason, moved, cut, seconds);
    log_write(server->log, &(struct log_line){
                               .kind = "stop",
                               .message = server->end_reason == NULL ? NULL : message,
                           });
}
