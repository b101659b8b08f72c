/* redis_url: where Redis is, as the settings say it. Pure parsing. */
#ifndef YUKIZURI_CONFIG_REDIS_URL_H
#define YUKIZURI_CONFIG_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

enum redis_scheme { REDIS_EMBEDDED, REDIS_TCP, REDIS_UNIX, REDIS_SENTINEL, REDIS_CLUSTER };

enum { REDIS_URL_HOSTS = 16 };

struct redis_host {
    char name[256];
    int port;
};

struct redis_url {
    enum redis_scheme scheme;
    bool tls;
    char host[256]; /* TCP */
    int port;
    struct redis_host hosts[REDIS_URL_HOSTS]; /* Sentinels, or nodes of a cluster: where to ask */
    size_t host_count;
    char service[128];  /* SENTINEL: the name under which the Sentinels watch the master */
    char path[256];     /* unix */
    char user[128];     /* "" when not given */
    char password[256]; /* "" when not given */
    int database;
};

/* Reads "redis://[user:password@]host[:port][/db]", "rediss://…", "unix:PATH",
 * "unix://user[:password]@/PATH", "redis-sentinel://[user:password@]host[:port],…/NAME[/db]",
 * "redis-cluster://[user:password@]host[:port],…", the same with "rediss-", or "embedded". NULL; or
 * a sentence (static) that says what is wrong, `out` then being unspecified. */
const char *redis_url_parse(const char *text, struct redis_url *out);

/* One server behind such a URL: TCP, with the same user, password, database and encryption. A name
 * that is too long is none: "". */
struct redis_url redis_url_of_server(const struct redis_url *url, const char *host, int port);

/* Can this be the name or the address of a host? It has neither blanks nor control characters, nor
 * signs that part a URL. */
bool redis_url_is_host(const char *name);

/* The server's name, or that of the first to ask; "" of a path. Valid as long as the URL. */
const char *redis_url_first_host(const struct redis_url *url);

enum { REDIS_URL_TEXT_BYTES = 448 }; /* enough for any, with the NUL */

/* Where Redis is, for people: the URL without user and password, and of several hosts the first. Of
 * an embedded one that has not been started, "unix:". */
void redis_url_format(const struct redis_url *url, char out[REDIS_URL_TEXT_BYTES]);

/* May the names in Redis begin with this? NULL; or the end of a sentence (static), why not. */
const char *redis_url_judge_prefix(const char *prefix);

#endif
