#include "config/check.h"

#include "base/memory.h"
#include "config/error.h"
#include "config/gateway_id.h"
#include "config/password_file.h"
#include "config/table.h"

#include <inttypes.h>
#include <string.h>

enum {
    CHARACTER_BYTES = 12, /* \ud83d\ude00: RFC 8259 (section 7) has no longer form of a character */
    ENVELOPE_BYTES = 512, /* type, nonce and epoch */
    MAX_PORT = 65535,
};

static const struct config_row *row_of(const char *name)
{
    return config_find_row(name, strlen(name));
}

static bool is_given(const struct config_loader *loader, const char *name)
{
    return loader->places[row_of(name) - config_table].source != CONFIG_FROM_DEFAULT;
}

/* The row; the next error or warning names the place of its value. */
static const struct config_row *blame(struct config_loader *loader, const char *name)
{
    const struct config_row *row = row_of(name);
    loader->here = loader->places[row - config_table];
    return row;
}

/* A setting that has a default and was given as nothing. */
static int check_presence(struct config_loader *loader)
{
    for (size_t i = 0; i < config_table_count; i++) {
        const struct config_row *row = &config_table[i];
        bool needed = row->initial != NULL || strcmp(row->name, "gateway-id") == 0;
        if (row->type == CONFIG_STRING && needed &&
            *(char **)config_field(loader->config, row) == NULL)
            return config_fail(loader, blame(loader, row->name),
                               "is empty; leave it out, or give it a value");
    }
    return 0;
}

static int check_password(struct config_loader *loader)
{
    const char *path = loader->config->redis_password_file;
    struct redis_url *url = &loader->config->redis_url;
    char error[300];
    if (path == NULL && url->user[0] != '\0' && url->password[0] == '\0')
        return config_fail(loader, blame(loader, "redis"),
                           "names a user and no password: add one (user:password@), or "
                           "redis-password-file");
    if (path == NULL)
        return 0;
    if (url->scheme == REDIS_EMBEDDED)
        return config_fail(loader, blame(loader, "redis-password-file"),
                           "the private Redis has no password: name another one with redis, or "
                           "leave this out");
    if (url->password[0] != '\0')
        config_warn(loader, blame(loader, "redis"),
                    "the password in it has no effect: redis-password-file has another one");
    if (password_file_read(path, false, url->password, error, sizeof error) == 0)
        return 0;
    return config_fail(loader, blame(loader, "redis-password-file"), "%s", error);
}

static int check_durability(struct config_loader *loader)
{
    const struct config *config = loader->config;
    enum redis_scheme scheme = config->redis_url.scheme;
    if (config->durability == CONFIG_DURABILITY_PRIMARY ||
        (scheme != REDIS_EMBEDDED && scheme != REDIS_CLUSTER))
        return 0;
    return config_fail(loader, blame(loader, "durability"),
                       scheme == REDIS_EMBEDDED
                           ? "the private Redis has no replica that could confirm anything: name "
                             "another one with redis, or leave this out"
                           : "in a cluster no replica is asked: name a server or Sentinels with "
                             "redis, or leave this out");
}

/* What gateways say to Sentinels. */
static int check_sentinel_password(struct config_loader *loader)
{
    struct config *config = loader->config;
    const char *path = config->sentinel_password_file;
    const char *user = config->sentinel_user;
    char error[300];
    if (config->redis_url.scheme != REDIS_SENTINEL) {
        const char *given = path != NULL   ? "sentinel-password-file"
                            : user != NULL ? "sentinel-user"
                                           : NULL;
        return given == NULL
                   ? 0
                   : config_fail(loader, blame(loader, given),
                                 "redis names no Sentinels: write redis-sentinel://HOST:PORT/NAME "
                                 "there, or leave this out");
    }
    if (user != NULL && path == NULL)
        return config_fail(loader, blame(loader, "sentinel-user"),
                           "has no password: add sentinel-password-file");
    if (user != NULL && strlen(user) >= sizeof config->redis_url.user)
        return config_fail(loader, blame(loader, "sentinel-user"),
                           "is too long: at most 127 bytes");
    if (path == NULL ||
        password_file_read(path, false, config->sentinel_password, error, sizeof error) == 0)
        return 0;
    return config_fail(loader, blame(loader, "sentinel-password-file"), "%s", error);
}

static int derive_addresses(struct config_loader *loader)
{
    struct config *config = loader->config;
    const struct config_row *row = blame(loader, "addr");
    if (config->addr.count == 0)
        return config_fail(loader, row, "at least one address is needed");
    if (config->addr.count > CONFIG_ADDRESSES)
        return config_fail(loader, row, "%zu addresses are too many: %d at most",
                           config->addr.count, CONFIG_ADDRESSES);
    for (size_t i = 0; i < config->addr.count; i++) {
        listen_address_parse(config->addr.items[i], &config->listen[i]);
        for (size_t j = 0; j < i; j++)
            if (listen_address_is_same(&config->listen[i], &config->listen[j]))
                return config_fail(loader, row, "\"%.128s\" is given twice", config->addr.items[i]);
    }
    config->addr_given = is_given(loader, "addr");
    return 0;
}

/* How many workers there may be, before anybody has counted the cores. */
static uint64_t most_workers(const struct config *config)
{
    return config->workers > 0 ? config->workers : row_of("workers")->most;
}

static int derive_worker_address(struct config_loader *loader)
{
    struct config *config = loader->config;
    struct listen_address *listen = &config->worker_listen;
    if (config->worker_addr == NULL)
        return 0;
    const struct config_row *row = blame(loader, "worker-addr");
    listen_address_parse(config->worker_addr, listen);
    if (listen->kind == LISTEN_UNIX || listen->port == 0 || listen->proxied)
        return config_fail(loader, row, "\"%.128s\" is not HOST:PORT, such as 127.0.0.1:9101",
                           config->worker_addr);
    if (most_workers(config) - 1 > (uint64_t)(MAX_PORT - listen->port))
        return config_fail(loader, row,
                           "the ports from %d on do not suffice for %" PRIu64 " workers: choose a "
                           "smaller one",
                           listen->port, most_workers(config));
    if (config->echo_path != NULL && !listen_address_is_local(listen))
        return config_fail(loader, row, "has to be loopback beside an echo-path");
    return 0;
}

static bool has_unix_address(const struct config *config)
{
    for (size_t i = 0; i < config->addr.count; i++)
        if (config->listen[i].kind == LISTEN_UNIX)
            return true;
    return false;
}

static int check_workers(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (config->workers == 1)
        return 0;
    if (has_unix_address(config))
        return config_fail(loader, blame(loader, "workers"),
                           "only one gateway can listen on a path (addr %s): start several with a "
                           "path each, or listen on a port",
                           "unix:PATH");
    const char *wrong = gateway_id_judge(config->gateway_id, true);
    return wrong == NULL ? 0
                         : config_fail(loader, blame(loader, "gateway-id"), "\"%.128s\" %s",
                                       config->gateway_id, wrong);
}

/* Whom to become, where that is another user. */
static int derive_user(struct config_loader *loader)
{
    struct config *config = loader->config;
    struct user found;
    if (config->user == NULL)
        return 0;
    const struct config_row *row = blame(loader, "user");
    if (user_find(config->user, &found) != 0)
        return config_fail(loader, row, "there is no user \"%.128s\" on this machine",
                           config->user);
    if (user_is_current(&found) && found.uid != 0)
        return 0;
    if (!user_is_root())
        return config_fail(loader, row,
                           "only root can become \"%s\": start the gateway as root, or as this "
                           "user",
                           found.name);
    if (found.uid == 0)
        return config_fail(loader, row, "\"%s\" is root: name a user without its rights",
                           found.name);
    config->run_as = found;
    return 0;
}

static int check_echo(struct config_loader *loader)
{
    const struct config *config = loader->config;
    for (size_t i = 0; config->echo_path != NULL && i < config->addr.count; i++)
        if (!listen_address_is_local(&config->listen[i]))
            return config_fail(loader, blame(loader, "echo-path"),
                               "only allowed when every addr is loopback (127.0.0.1, [::1], "
                               "localhost or unix:PATH), and \"%.128s\" is not",
                               config->addr.items[i]);
    return 0;
}

/* Does a message hold the longest text, however its sayer writes it in JSON? Where max-text is 0,
 * max-message alone bounds a text. (max-message cannot be 0: so much is allocated for a peer.) The
 * error names the place where somebody wrote one of them. */
static int check_sizes(struct config_loader *loader)
{
    uint64_t text = loader->config->max_text;
    uint64_t message = loader->config->max_message;
    uint64_t needed = text * CHARACTER_BYTES + ENVELOPE_BYTES;
    bool given = is_given(loader, "max-message");
    if (message >= needed)
        return 0;
    const struct config_row *row = blame(loader, given ? "max-message" : "max-text");
    return config_fail(loader, given ? row : NULL,
                       "%s%" PRIu64 " bytes do not hold a text of max-text = %" PRIu64
                       " characters in JSON; set max-message to %" PRIu64
                       " or more, or max-text to %" PRIu64 " or less",
                       given ? "" : "max-message: ", message, text, needed,
                       (message - ENVELOPE_BYTES) / CHARACTER_BYTES);
}

static void derive_blocks(const struct config_list *list, struct config_blocks *out)
{
    out->items = memory_new((list->count + 1) * sizeof *out->items);
    for (out->count = 0; out->count < list->count; out->count++)
        address_block_parse(list->items[out->count], &out->items[out->count]);
}

/* --- What is allowed, and hardly meant --- */

static void warn_about_retention(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (config->retention > 0 && config->retention < config->leave_grace)
        config_warn(loader,
                    blame(loader, is_given(loader, "retention") ? "retention" : "leave-grace"),
                    "retention (%" PRIu64 " s) is shorter than leave-grace (%" PRIu64
                    " s): who comes back in between is still there for the others, and has missed "
                    "messages",
                    config->retention, config->leave_grace);
    if (config->retention == 0 && is_given(loader, "retention-messages"))
        config_warn(loader, blame(loader, "retention-messages"),
                    "has no effect: retention is 0, which keeps nothing");
}

static void warn_about_log(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (!config->logging && config->log_file != NULL)
        config_warn(loader, blame(loader, "log-file"), "has no effect: logging is false");
    if (!config->logging && config->log_text)
        config_warn(loader, blame(loader, "log-text"), "has no effect: logging is false");
}

static void warn_about_addresses(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (is_given(loader, "addr-mode") && !has_unix_address(config))
        config_warn(loader, blame(loader, "addr-mode"), "has no effect: no addr is a unix:PATH");
    for (size_t i = 0; i < config->addr.count; i++)
        if (config->listen[i].kind != LISTEN_UNIX && config->listen[i].port == 0)
            config_warn(loader, blame(loader, "addr"),
                        "\"%.128s\" has port 0: the system chooses one, and nobody is told which",
                        config->addr.items[i]);
    for (size_t i = 0; i < config->trusted_proxy_blocks.count; i++) {
        const struct address_block *block = &config->trusted_proxy_blocks.items[i];
        bool all = block->bits == 0 || (block->bits == 96 && address_is_ipv4(&block->base));
        if (all)
            config_warn(loader, blame(loader, "trusted-proxy"),
                        "\"%s\" is everybody: whoever connects can claim any address; name the "
                        "proxies alone",
                        config->trusted_proxy.items[i]);
    }
}

static void warn_about_limits(struct config_loader *loader)
{
    const struct config *config = loader->config;
    if (config->max_connections > 0 && is_given(loader, "max-connections-per-address") &&
        config->max_connections_per_address > config->max_connections)
        config_warn(loader, blame(loader, "max-connections-per-address"),
                    "has no effect: max-connections is smaller (%" PRIu64 ")",
                    config->max_connections);
    if (config->backlog > 0 && config->backlog < config->max_message)
        config_warn(loader, blame(loader, is_given(loader, "backlog") ? "backlog" : "max-message"),
                    "backlog (%" PRIu64 ") is smaller than max-message (%" PRIu64
                    "): who is a single long message behind is cut off",
                    config->backlog, config->max_message);
}

int config_check(struct config_loader *loader)
{
    struct config *config = loader->config;
    if (check_presence(loader) != 0)
        return -1;
    redis_url_parse(config->redis, &config->redis_url);
    if (config->redis_sharded_pubsub && config->redis_url.scheme != REDIS_CLUSTER)
        config_warn(loader, blame(loader, "redis-sharded-pubsub"),
                    "has no effect: only a cluster has sharded channels");
    if (check_password(loader) != 0 || check_durability(loader) != 0 ||
        check_sentinel_password(loader) != 0 || derive_addresses(loader) != 0 ||
        derive_worker_address(loader) != 0 || check_workers(loader) != 0 ||
        derive_user(loader) != 0 || check_echo(loader) != 0 || check_sizes(loader) != 0)
        return -1;
    derive_blocks(&config->trusted_proxy, &config->trusted_proxy_blocks);
    derive_blocks(&config->ops_allow, &config->ops_allow_blocks);
    config->max_connections_given = is_given(loader, "max-connections");
    warn_about_retention(loader);
    warn_about_log(loader);
    warn_about_addresses(loader);
    warn_about_limits(loader);
    return 0;
}
