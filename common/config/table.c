#include "config/table.h"

#include <ctype.h>
#include <string.h>

#define AT(field) offsetof(struct config, field)

const struct config_row config_table[] = {
    {"addr", CONFIG_LIST, AT(addr), ":8080", 0, 0, "ADDRESS",
     "Where to listen: :PORT, HOST:PORT, [V6]:PORT or unix:PATH. For a host name, the gateway "
     "listens on each of its addresses on this machine. With ?proxy=on behind it, every connection "
     "there has to begin with a PROXY header (version 1 or 2), whose address is believed: only the "
     "proxy may reach it. May be given more than once."},
    {"addr-mode", CONFIG_MODE, AT(addr_mode), "0660", 0, 0, "MODE",
     "The permissions of unix:PATH sockets. Whoever may write to a socket may connect."},
    {"worker-addr", CONFIG_STRING, AT(worker_addr), NULL, 0, 0, "HOST:PORT",
     "An address of each worker alone: worker N also listens on PORT + N - 1, so that monitoring "
     "can read the figures of each."},
    {"redis", CONFIG_STRING, AT(redis), "embedded", 0, 0, "URL",
     "redis://[user:password@]host:port[/db], rediss://... (TLS), unix:PATH, unix://user@/PATH, "
     "redis-sentinel://[user:password@]host:port,host:port/NAME[/db] (the hosts are Sentinels), "
     "redis-cluster://[user:password@]host:port,host:port; with TLS rediss-sentinel:// and "
     "rediss-cluster://; or embedded. embedded starts a private redis-server, which writes nothing "
     "to disk and ends with "
     "the gateway. If it dies, it is started again without data, at most twice within a minute."},
    {"redis-password-file", CONFIG_STRING, AT(redis_password_file), NULL, 0, 0, "FILE",
     "A file with the Redis password as its only line; it keeps the password off the command line. "
     "Read again on SIGHUP, and when Redis rejects the password."},
    {"sentinel-user", CONFIG_STRING, AT(sentinel_user), NULL, 0, 0, "USER",
     "The user of this gateway in the Sentinels. Default: their default user. The user in the URL "
     "is "
     "that of Redis."},
    {"sentinel-password-file", CONFIG_STRING, AT(sentinel_password_file), NULL, 0, 0, "FILE",
     "A file with the password of the Sentinels as its only line. Read again on SIGHUP, and when a "
     "Sentinel rejects the password."},
    {"redis-prefix", CONFIG_STRING, AT(redis_prefix), "yukizuri", 0, 0, "WORD",
     "The first part of every key and channel in Redis. In a database N other than 0, channels "
     "begin with PREFIX@N."},
    {"redis-sharded-pubsub", CONFIG_BOOL, AT(redis_sharded_pubsub), "false", 0, 0, "BOOL",
     "In a Redis Cluster the events of a room pass through the node of the room alone "
     "(SSUBSCRIBE), "
     "and not through every node. All gateways must have the same value."},
    {"durability", CONFIG_CHOICE, AT(durability), "primary", 0, 0, "primary|replica",
     "When a message is acknowledged: when Redis has accepted it (primary), or when one of its "
     "replicas has it too (replica), so that no acknowledged message is lost when the replica "
     "takes "
     "over. Without a replica's confirmation within a second, the answer is unavailable."},
    {"gateway-id", CONFIG_STRING, AT(gateway_id), NULL, 0, 0, "WORD",
     "The name of this gateway in Redis, logs and metrics. Only one living gateway may have it. "
     "Default: host name, process id and a random part."},
    {"room", CONFIG_STRING, AT(room), "lobby", 0, 0, "ROOM",
     "The default room, which the paths / and /room lead to."},
    {"logging", CONFIG_BOOL, AT(logging), "true", 0, 0, "BOOL",
     "Whether to write the log (LTSV lines, see operations.md)."},
    {"log-file", CONFIG_STRING, AT(log_file), NULL, 0, 0, "FILE",
     "The file for the log; reopened on SIGHUP. Default: standard output."},
    {"log-text", CONFIG_BOOL, AT(log_text), "false", 0, 0, "BOOL",
     "Whether to log the text of messages."},
    {"show-address", CONFIG_CHOICE, AT(show_address), "masked", 0, 0, "full|masked|cloak|off",
     "How other members see an address: full, masked (203.0.113.x, /48 for IPv6), cloak (a keyed "
     "hash that changes daily) or off. Members always see a mark of it, which thousands of "
     "addresses share and which changes daily."},
    {"log-address", CONFIG_CHOICE, AT(log_address), "full", 0, 0, "full|masked|cloak|off",
     "The same for the log and for the operator's view in Redis."},
    {"trusted-proxy", CONFIG_LIST, AT(trusted_proxy), NULL, 0, 0, "CIDR",
     "The peers whose client-address-header is trusted; peers on unix sockets always are. "
     "May be given more than once."},
    {"client-address-header", CONFIG_CHOICE, AT(client_address_header), "x-forwarded-for", 0, 0,
     "x-forwarded-for|x-real-ip|forwarded",
     "The header in which trusted proxies tell the client's address; the others are not read. Name "
     "the one that they write themselves: a proxy passes on any other as the client sent it. "
     "x-forwarded-for also reads X-Real-IP from a proxy that sends no X-Forwarded-For."},
    {"origin", CONFIG_LIST, AT(origin), NULL, 0, 0, "ORIGIN",
     "An allowed Origin of pages that connect, in the form that browsers send, such as "
     "https://chat.example.com; * allows any. May be given more than once. Default: the host that "
     "the request names."},
    {"ops-allow", CONFIG_LIST, AT(ops_allow), "127.0.0.0/8, ::1", 0, 0, "CIDR",
     "The clients that may read /metrics, /api/stats and /status, by the client's real address. "
     "May be given more than once."},
    {"max-connections", CONFIG_COUNT, AT(max_connections), "1000000", 0, 100000000, "N",
     "Connections of this gateway. The limit on open files bounds them too; the gateway raises its "
     "soft limit to the hard limit."},
    {"max-connections-per-address", CONFIG_COUNT, AT(max_connections_per_address), "64", 0, 1000000,
     "N",
     "Connections from one IPv4 address or IPv6 /64, and the same number of plain HTTP "
     "connections. Loopback peers are not counted."},
    {"max-members", CONFIG_COUNT, AT(max_members), "0", 0, 100000000, "N",
     "Members of one room. Further joins are refused with room_full."},
    {"max-rooms", CONFIG_COUNT, AT(max_rooms), "100000", 0, 100000000, "N",
     "Rooms of this gateway with a member or a join under way. Joins of further ones are refused "
     "with unavailable."},
    {"max-pending", CONFIG_COUNT, AT(max_pending), "65536", 0, 100000000, "N",
     "Messages of this gateway on their way to Redis. Further ones are refused with unavailable."},
    {"max-unsent", CONFIG_COUNT, AT(max_unsent), "268435456", 0, 1099511627776, "BYTES",
     "Unsent bytes that are for one member each, of all connections together. No connection may "
     "have more than what is left of it: the slowest readers are closed with 4408 first. When half "
     "of it is used, new connections are refused with 503, and whoever has some of it and a full "
     "socket at its ping is closed."},
    {"max-text", CONFIG_COUNT, AT(max_text), "2000", 0, 1000000, "N",
     "Code points in the text of one message."},
    {"max-message", CONFIG_COUNT, AT(max_message), "32768", 512, 16777216, "BYTES",
     "Bytes in one WebSocket message. At least 12 for each code point of max-text, because a "
     "client may escape it in JSON, plus 512 for the rest."},
    {"max-fragments", CONFIG_COUNT, AT(max_fragments), "64", 0, 1000000, "N",
     "Fragments of one WebSocket message that have less than 4096 bytes each. Longer ones are "
     "bounded by max-message."},
    {"max-head", CONFIG_COUNT, AT(max_head), "16384", 1024, 32768, "BYTES",
     "Bytes in the head of one HTTP request."},
    {"rate", CONFIG_RATE, AT(rate), "5:20", 0, 0, "N:BURST",
     "Messages per second and burst, per connection. Pings, pongs and typing have a separate "
     "allowance of the same size (at least 2 a second and 10 at once). A connection that keeps "
     "ignoring too_fast is closed with 4429."},
    {"rate-per-address", CONFIG_RATE, AT(rate_per_address), "20:80", 0, 0, "N:BURST",
     "Messages per second and burst from one IPv4 address or IPv6 /64, over all its connections, "
     "joins apart. Pings, pongs and typing have an allowance of four times that. Reconnecting "
     "gives no new burst. Here and in the limits below, loopback and trusted proxies are not "
     "counted."},
    {"bytes-per-address", CONFIG_RATE, AT(bytes_per_address), "131072:2097152", 0, 100000000,
     "N:BURST",
     "Bytes per second and burst that one address may send over its WebSockets, whatever they are; "
     "where messages may be compressed, each counts once more as inflated. "
     "The connection that sends more is closed with 4429."},
    {"joins-per-address", CONFIG_RATE, AT(joins_per_address), "2:128", 0, 0, "N:BURST",
     "Joins and resumes per second and burst from one address; further ones are refused with "
     "too_fast."},
    {"rooms-per-address", CONFIG_RATE, AT(rooms_per_address), "0.5:32", 0, 0, "N:BURST",
     "Rooms per second and burst that joins from one address may open on this gateway; further "
     "ones are refused with too_fast."},
    {"bad-per-address", CONFIG_RATE, AT(bad_per_address), "1:50", 0, 0, "N:BURST",
     "Messages per second and burst from one address that make no sense (bad_message). The "
     "connection that sends more is closed with 4429."},
    {"handshakes-per-address", CONFIG_RATE, AT(handshakes_per_address), "4:128", 0, 0, "N:BURST",
     "WebSocket handshakes per second and burst from one address; further ones are answered 429."},
    {"backlog", CONFIG_COUNT, AT(backlog), "1048576", 0, 1073741824, "BYTES",
     "Unsent bytes, as before compression, at which a slow reader is closed with 4408. It gets the "
     "missed messages after it reconnects."},
    {"retention", CONFIG_COUNT, AT(retention), "120", 0, 86400, "SECONDS",
     "How long a message can be replayed to a member who reconnects; 0 stores nothing."},
    {"retention-messages", CONFIG_COUNT, AT(retention_messages), "10000", 1, 1000000, "N",
     "Stored messages per room, at most."},
    {"retention-bytes", CONFIG_COUNT, AT(retention_bytes), "16777216", 0, 1099511627776, "BYTES",
     "Bytes of stored events per room, at most. Who missed one that had to go is told so (gap). "
     "The compressed copies that a gateway makes of them for compression are not counted; each is "
     "smaller than its event."},
    {"retention-bytes-total", CONFIG_COUNT, AT(retention_bytes_total), "536870912", 0,
     1099511627776, "BYTES",
     "Bytes of stored events of all rooms that this gateway has open or had open within retention. "
     "No room may have more than what is left of it: the biggest rooms forget first."},
    {"leave-grace", CONFIG_COUNT, AT(leave_grace), "15", 0, 3600, "SECONDS",
     "Grace period: the time between a lost connection and the announcement that the member left."},
    {"lease", CONFIG_COUNT, AT(lease), "10", 1, 3600, "SECONDS",
     "Time after which a gateway that does not renew its lease counts as dead. Its members are "
     "removed after the rest of the grace period."},
    {"ping", CONFIG_COUNT, AT(ping), "25", 1, 3600, "SECONDS",
     "Time between pings. A connection without a received byte for this time plus 10 s is closed."},
    {"drain", CONFIG_COUNT, AT(drain), "30", 0, 3600, "SECONDS",
     "Time over which SIGTERM spreads the members' reconnects."},
    {"drain-delay", CONFIG_COUNT, AT(drain_delay), "1", 0, 3600, "SECONDS",
     "Time between SIGTERM and the end of listening. /readyz answers 503 during it, but new "
     "connections are accepted until balancers have noticed. Set it longer than the interval of "
     "the balancer's health checks; 0 for none."},
    {"keep-alive", CONFIG_COUNT, AT(keep_alive), "75", 0, 3600, "SECONDS",
     "How long an HTTP connection without a request stays open. Set it longer than the balancer "
     "keeps idle connections (60 s with many balancers, 600 s with some)."},
    {"pressure", CONFIG_COUNT, AT(pressure), "0", 0, 3, "0..3",
     "How hard it is to come in, at least: 1 halves rate, 2 also asks newcomers for a proof of "
     "work, 3 takes no newcomers. Who comes back with a good token is not asked. PREFIX:pressure "
     "in Redis can raise it for all gateways."},
    {"pressure-joins", CONFIG_COUNT, AT(pressure_joins), "0", 0, 1000000, "N",
     "Newcomers a second at which this gateway raises its pressure by itself, a step a second up "
     "to 2. It falls a step after each 10 s without. 0: never."},
    {"workers", CONFIG_AUTO, AT(workers), "1", 1, 512, "N|auto",
     "The number of gateways on the same addresses. Each is a process of its own, and its "
     "gateway-id gets its number; auto starts one per available core. Limits apply to each of "
     "them, and /metrics shows the one that answers."},
    {"send", CONFIG_CHOICE, AT(send), "auto", 0, 0, "auto|writev|uring",
     "How one frame is sent to many sockets: with one system call per socket (writev), or with "
     "up to 128 in one system call (uring). auto uses io_uring if the kernel has it."},
    {"compression", CONFIG_BOOL, AT(compression), "true", 0, 0, "BOOL",
     "Whether to compress messages for clients that offer permessage-deflate (RFC 7692), and to "
     "accept compressed messages from them. Messages of less than 200 bytes are not compressed."},
    {"user", CONFIG_STRING, AT(user), NULL, 0, 0, "NAME",
     "The user that a gateway started as root becomes, once its sockets and files are open. "
     "Workers and the private redis-server run as this user too. The log file and the sockets that "
     "the gateway makes belong to it."},
    {"sandbox", CONFIG_BOOL, AT(sandbox), "false", 0, 0, "BOOL",
     "Whether a gateway that has started may only make the system calls that it needs (seccomp). "
     "Another call ends it with a line on standard error that names the call."},
    {"echo-path", CONFIG_STRING, AT(echo_path), NULL, 0, 0, "PATH",
     "The path of a diagnostic WebSocket endpoint that echoes text and binary messages (for "
     "conformance suites); refused unless every addr is loopback."},
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
