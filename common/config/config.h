/* config: the settings. One table says of each setting its name, type, default, bounds and meaning;
 * the command line, the environment, the file, --help and the documentation all come from it.
 * Precedence: command line, environment, file, default. Nothing is opened here but the --config
 * file and the password files. */
#ifndef YUKIZURI_CONFIG_CONFIG_H
#define YUKIZURI_CONFIG_CONFIG_H

#include "base/user.h"
#include "config/address.h"
#include "config/listen_address.h"
#include "config/rate.h"
#include "config/redis_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the client's address is read from behind a trusted proxy. */
enum config_address_header {
    CONFIG_ADDRESS_LIST, /* X-Forwarded-For; X-Real-IP where it is missing */
    CONFIG_ADDRESS_REAL,
    CONFIG_ADDRESS_FORWARDED,
};

/* Who has what was said before it is acknowledged. */
enum config_durability { CONFIG_DURABILITY_PRIMARY, CONFIG_DURABILITY_REPLICA };

enum config_send { CONFIG_SEND_AUTO, CONFIG_SEND_WRITEV, CONFIG_SEND_URING };

enum { CONFIG_ADDRESSES = 16 }; /* at most so many addr */

struct config_list {
    char **items;
    size_t count;
};

struct config_blocks {
    struct address_block *items;
    size_t count;
};

/* All settings. Read-only once main has adapted them; owned by whoever called config_load. A limit
 * of 0 is no limit.
 */
struct config {
    struct config_list addr;
    unsigned addr_mode; /* as chmod(2) has it */
    char *worker_addr;
    char *redis;
    char *redis_password_file;
    char *sentinel_user;
    char *sentinel_password_file;
    char *redis_prefix;
    unsigned durability; /* enum config_durability */
    bool redis_sharded_pubsub;
    char *gateway_id;
    char *room;
    bool logging;
    char *log_file;
    bool log_text;
    unsigned show_address; /* enum address_show */
    unsigned log_address;
    struct config_list trusted_proxy;
    unsigned client_address_header; /* enum config_address_header */
    struct config_list origin;
    struct config_list ops_allow;
    uint64_t max_connections;
    uint64_t max_connections_per_address;
    uint64_t max_members;
    uint64_t max_rooms;
    uint64_t max_pending;
    uint64_t max_unsent;
    uint64_t max_text;
    uint64_t max_message;
    uint64_t max_fragments;
    uint64_t max_head;
    struct rate_limit rate;
    struct rate_limit rate_per_address;
    struct rate_limit bytes_per_address; /* tokens are bytes */
    struct rate_limit joins_per_address;
    struct rate_limit rooms_per_address;
    struct rate_limit bad_per_address;
    struct rate_limit handshakes_per_address;
    uint64_t backlog;
    uint64_t retention;
    uint64_t retention_messages;
    uint64_t retention_bytes;
    uint64_t retention_bytes_total;
    uint64_t leave_grace;
    uint64_t lease;
    uint64_t ping;
    uint64_t drain;
    uint64_t drain_delay;
    uint64_t keep_alive;
    uint64_t pressure;
    uint64_t pressure_joins;
    uint64_t workers; /* 0: one for each core, until main has counted them */
    unsigned send;    /* enum config_send */
    bool compression;
    char *user;
    bool sandbox;
    char *echo_path;

    /* Derived from the above. */
    struct listen_address listen[CONFIG_ADDRESSES]; /* of each addr */
    bool addr_given;                                /* it is not the default */
    struct listen_address worker_listen;            /* of worker_addr, in a worker with its port */
    bool max_connections_given;                     /* somebody counts on it */
    struct redis_url redis_url;
    char sentinel_password[256]; /* "" for none */
    struct user run_as;          /* whom to become; nobody when that is who we are */
    struct config_blocks trusted_proxy_blocks;
    struct config_blocks ops_allow_blocks;
};

enum config_action { CONFIG_RUN, CONFIG_CHECK, CONFIG_HELP, CONFIG_VERSION, CONFIG_FAILED };

enum { CONFIG_LINE_BYTES = 512, CONFIG_WARNINGS = 16 };

/* What config_load found. Errors and warnings are lines for stderr; each says where the value
 * stands: the file and its line, the environment variable, or the argument. */
struct config_result {
    enum config_action action;
    char error[CONFIG_LINE_BYTES]; /* CONFIG_FAILED */
    size_t warning_count;          /* what is allowed and hardly meant; further ones are left out */
    char warnings[CONFIG_WARNINGS][CONFIG_LINE_BYTES];
    char format[16]; /* CONFIG_HELP: "text", "markdown", "man", "man5" or "bash" */
};

/* Reads everything into `config`; of CONFIG_HELP and CONFIG_VERSION nothing. Call config_done in
 * every case. */
struct config_result config_load(struct config *config, int argc, char *const *argv,
                                 char *const *environment);
void config_done(struct config *config);

/* Takes all of `addr` out. */
void config_clear_addr(struct config *config);

/* Adds one to `addr`. NULL; or the end of a sentence (static): why not. */
const char *config_add_addr(struct config *config, const struct listen_address *address);

#endif
