/* redis_url: where Redis is, as the settings say it. Pure parsing. */
#ifndef YUKIZURI_CONFIG_REDIS_URL_H
#define YUKIZURI_CONFIG_REDIS_URL_H

#include <stdbool.h>

enum redis_scheme { REDIS_EMBEDDED, REDIS_TCP, REDIS_UNIX };

struct redis_url {
    enum redis_scheme scheme;
    bool tls;
    char host[256]; /* TCP */
    int port;
    char path[256];     /* unix */
    char user[128];     /* "" when not given */
    char password[256]; /* "" when not given */
    int database;
};

/* Reads "redis://[user:password@]host[:port][/db]", "rediss://…", "unix:PATH",
 * "unix://user[:password]@/PATH" or "embedded". NULL; or a sentence (static) that says what is
 * wrong, `out` then being unspecified. */
const char *redis_url_parse(const char *text, struct redis_url *out);

enum { REDIS_URL_TEXT_BYTES = 320 }; /* enough for any, with the NUL */

/* Where Redis is, for people: the URL without user and password. Of an embedded one that has not
 * been started, "unix:". */
void redis_url_format(const struct redis_url *url, char out[REDIS_URL_TEXT_BYTES]);

/* May the names in Redis begin with this? NULL; or the end of a sentence (static), why not. */
const char *redis_url_judge_prefix(const char *prefix);

#endif
