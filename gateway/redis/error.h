/* redis_error: what an error reply of Redis means for whoever sent the command. Pure; counts and
 * logs nothing (error_log does). */
#ifndef YUKIZURI_REDIS_ERROR_H
#define YUKIZURI_REDIS_ERROR_H

#include <stddef.h>

enum redis_verdict {
    REDIS_EXPECTED,  /* an answer that our own scripts or callers expect: no fault */
    REDIS_PROBE,     /* Redis refuses something: the probe shows whether members can still talk */
    REDIS_RECONNECT, /* this is not the Redis to talk to: connect again, resolving its name again */
};

struct redis_error {
    const char *word; /* its first word, from a bounded set; else "other". Static */
    enum redis_verdict verdict;
    /* Redis' own words, without the arguments that it may repeat, and what to do: a line. */
    char text[240];
};

/* Reads the text of an error reply. Redis repeats arguments of a command that it does not know,
 * which may be a password or what somebody said: they are left out of `text`. */
void redis_error_read(const char *text, size_t len, struct redis_error *out);

/* Whoever sent the command can do without it. What Redis refuses then is REDIS_EXPECTED, with
 * "optional" as its word; what asks for another connection goes on doing so. */
void redis_error_mark_optional(struct redis_error *error);

#endif
