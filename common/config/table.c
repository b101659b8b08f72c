#include "config/table.h"

#include <ctype.h>
#include <string.h>

#define AT(field) offsetof(struct config, field)

const struct config_row config_table[] = {
    {"addr", CONFIG_LIST, AT(addr), ":8080", 0, 0, "ADDRESS",
     "Where to listen: :PORT, HOST:PORT, [V6]:PORT or unix:PATH. Of a host name each address of "
     "this machine. May be given more than once."},
    {"addr-mode", CONFIG_MODE, AT(addr_mode), "0660", 0, 0, "MODE",
     "The permissions of unix:PATH sockets: who may write to one may connect."},
    {"redis", CONFIG_STRING, AT(redis), "embedded", 0, 0, "URL",
     "redis://[user:password@]host:port[/db], rediss://... (TLS), unix:PATH, unix://user@/PATH, or "
     "embedded: start a private redis-server that writes nothing to disk and ends with the "
     "gateway; "
     "one that dies is started again, empty, but not a third time within a minute."},
    {"redis-password-file", CONFIG_STRING, AT(redis_password_file), NULL, 0, 0, "FILE",
     "The Redis password, so that it is on no command line: the only line of a file. Read again on "
     "SIGHUP, and when Redis refuses it."},
    {"redis-prefix", CONFIG_STRING, AT(redis_prefix), "yukizuri", 0, 0, "WORD",
     "First part of every key and channel in Redis."},
    {"gateway-id", CONFIG_STRING, AT(gateway_id), NULL, 0, 0, "WORD",
     "How this gateway is named in Redis, logs and metrics: one living gateway at a time. Default: "
     "host name, process id and a random part."},
    {"room", CONFIG_STRING, AT(room), "lobby", 0, 0, "ROOM", "The room that / and /room mean."},
    {"logging", CONFIG_BOOL, AT(logging), "true", 0, 0, "BOOL", "The LTSV log, on or off."},
    {"log-file", CONFIG_STRING, AT(log_file), NULL, 0, 0, "FILE",
     "Where the log goes; reopened on SIGHUP. Default: standard output."},
    {"log-text", CONFIG_BOOL, AT(log_text), "false", 0, 0, "BOOL", "Also log what people say."},
    {"show-address", CONFIG_CHOICE, AT(show_address), "masked", 0, 0, "full|masked|cloak|off",
     "What other members see of one's address: full, masked (203.0.113.x, /48 for IPv6), cloak (a "
     "keyed hash that changes daily) or off."},
    {"log-address", CONFIG_CHOICE, AT(log_address), "full", 0, 0, "full|masked|cloak|off",
     "The same for the log and for the operator's view in Redis."},
    {"trusted-proxy", CONFIG_LIST, AT(trusted_proxy), NULL, 0, 0, "CIDR",
     "Only from these peers (and from unix sockets) is X-Forwarded-For or X-Real-IP believed. May "
     "be given more than once."},
    {"origin", CONFIG_LIST, AT(origin), NULL, 0, 0, "ORIGIN",
     "Allowed Origin of pages that connect, as browsers send it, such as https://chat.example.com; "
     "* for any. May be given more than once. Default: the host that the request names."},
    {"ops-allow", CONFIG_LIST, AT(ops_allow), "127.0.0.0/8, ::1", 0, 0, "CIDR",
     "Who may read /metrics and /api/stats, judged by the client's real address. May be given more "
     "than once."},
    {"max-connections", CONFIG_COUNT, AT(max_connections), "1000000", 0, 100000000, "N",
     "Connections of this gateway; also bounded by the file limit, which is raised to its hard "
     "limit."},
    {"max-connections-per-address", CONFIG_COUNT, AT(max_connections_per_address), "64", 0, 1000000,
     "N",
     "Connections from one IPv4 address or IPv6 /64, and as many more that only ask for pages; "
     "loopback peers are not counted."},
    {"max-members", CONFIG_COUNT, AT(max_members), "0", 0, 100000000, "N",
     "Members of one room; whoever comes later gets room_full."},
    {"max-text", CONFIG_COUNT, AT(max_text), "2000", 0, 1000000, "N", "Characters in one message."},
    {"max-message", CONFIG_COUNT, AT(max_message), "32768", 512, 16777216, "BYTES",
     "Bytes in one WebSocket message: at least 12 for each character of max-text, as a client may "
     "escape it in JSON, and 512 for the rest."},
    {"max-head", CONFIG_COUNT, AT(max_head), "16384", 1024, 32768, "BYTES",
     "Bytes in the head of one HTTP request."},
    {"rate", CONFIG_RATE, AT(rate), "5:20", 0, 0, "N:BURST",
     "Messages per second and burst, per connection; pings, pongs and typing have as much besides. "
     "Whoever goes on and on in spite of too_fast is closed with 4429."},
    {"backlog", CONFIG_COUNT, AT(backlog), "1048576", 0, 1073741824, "BYTES",
     "How far a slow reader may fall behind before it is closed with 4408; it can come back and "
     "get "
     "what it missed."},
    {"retention", CONFIG_COUNT, AT(retention), "120", 0, 86400, "SECONDS",
     "How long a passed message can be replayed to somebody who reconnects; 0 keeps nothing."},
    {"retention-messages", CONFIG_COUNT, AT(retention_messages), "10000", 1, 1000000, "N",
     "At most so many kept messages per room."},
    {"leave-grace", CONFIG_COUNT, AT(leave_grace), "15", 0, 3600, "SECONDS",
     "Time between an abrupt loss and the \"left\" line."},
    {"lease", CONFIG_COUNT, AT(lease), "10", 1, 3600, "SECONDS",
     "After how long a dead gateway's members are removed."},
    {"ping", CONFIG_COUNT, AT(ping), "25", 1, 3600, "SECONDS",
     "Time between pings; a connection without a byte for ping + 10 is closed."},
    {"drain", CONFIG_COUNT, AT(drain), "30", 0, 3600, "SECONDS",
     "Time over which SIGTERM spreads the reconnects."},
    {"drain-delay", CONFIG_COUNT, AT(drain_delay), "1", 0, 3600, "SECONDS",
     "Time between SIGTERM, from when on /readyz says 503, and the end of listening: newcomers are "
     "let in until balancers have looked. Longer than the time between two of their looks; 0 for "
     "none."},
    {"keep-alive", CONFIG_COUNT, AT(keep_alive), "75", 0, 3600, "SECONDS",
     "How long an HTTP connection without a request stays open: longer than a balancer keeps it "
     "(60 s with many, 600 s with some); 0: until the other side closes it."},
    {"workers", CONFIG_AUTO, AT(workers), "1", 1, 512, "N|auto",
     "So many gateways on the same addresses, each a process of its own (its gateway-id gets the "
     "number); auto is one for each core that it may run on. Limits hold for each of them, and "
     "/metrics is of the one that answers."},
    {"send", CONFIG_CHOICE, AT(send), "auto", 0, 0, "auto|writev|uring",
     "How one frame goes to many sockets: a system call for each, or io_uring, hundreds in one. "
     "auto is io_uring where the kernel has it."},
    {"echo-path", CONFIG_STRING, AT(echo_path), NULL, 0, 0, "PATH",
     "A diagnostic WebSocket endpoint that echoes text and binary (for conformance suites); "
     "refused "
     "unless every addr is loopback."},
};

_Static_assert(sizeof config_table / sizeof *config_table <= CONFIG_MOST_ROWS, "more room");

const size_t config_table_count = sizeof config_table / sizeof *config_table;

const struct config_row *config_find_row(const char *name, size_t len)
{
    for (size_t i = 0; i < config_table_count; i++)
        if (strlen(config_table[i].name) == len && strncmp(config_table[i].name, name, len) == 0)
            return &config_table[i];
    return NULL;
}

static bool is_like(const char *name, const char *text, size_t len)
{
    if (strlen(name) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] != (text[i] == '_' ? '-' : tolower((unsigned char)text[i])))
            return false;
    return true;
}

/* Another source's spelling: "MAX_TEXT", "YUKIZURI_MAX_TEXT", "--max-text". */
const struct config_row *config_guess_row(const char *name, size_t len)
{
    static const char prefix[] = "yukizuri-";
    size_t dashes = strspn(name, "-");
    if (dashes < len) {
        name += dashes;
        len -= dashes;
    }
    if (len >= sizeof prefix && is_like(prefix, name, sizeof prefix - 1)) {
        name += sizeof prefix - 1;
        len -= sizeof prefix - 1;
    }
    for (size_t i = 0; i < config_table_count; i++)
        if (is_like(config_table[i].name, name, len))
            return &config_table[i];
    return NULL;
}

void *config_field(struct config *config, const struct config_row *row)
{
    return (char *)config + row->offset;
}

void config_print_variable(FILE *out, const char *name)
{
    fputs("YUKIZURI_", out);
    for (; *name != '\0'; name++)
        fputc(*name == '-' ? '_' : toupper((unsigned char)*name), out);
}
