#include "redis/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct meaning {
    const char *word;
    enum redis_verdict verdict;
};

static const struct meaning meanings[] = {
    {"OTHEREPOCH", REDIS_EXPECTED},   /* publish.lua */
    {"LATE", REDIS_EXPECTED},         /* join.lua */
    {"NOSCRIPT", REDIS_EXPECTED},     /* redis/script.c loads it */
    {"CROSSSLOT", REDIS_EXPECTED},    /* a cluster: cluster/failure_detector.c asks one by one */
    {"READONLY", REDIS_RECONNECT},    /* a replica: the master is elsewhere */
    {"MASTERDOWN", REDIS_RECONNECT},  /* a replica that has lost its master */
    {"LOADING", REDIS_RECONNECT},     /* it becomes a replica, or comes back from a dump */
    {"CLUSTERDOWN", REDIS_RECONNECT}, /* another node may be up */
    {"MOVED", REDIS_RECONNECT},       /* in a cluster cluster_router sees to it */
    {"NOAUTH", REDIS_RECONNECT},      /* the greeting says the password once more */
    {"WRONGPASS", REDIS_RECONNECT},   /* the same */
    {"UNBLOCKED", REDIS_RECONNECT},   /* it has become a replica */
    {"MISCONF", REDIS_PROBE},         /* it cannot write its dump, and takes no writes */
    {"OOM", REDIS_PROBE},             /* no memory */
    {"NOREPLICAS", REDIS_PROBE},      /* min-replicas-to-write */
    {"NOPERM", REDIS_PROBE},          /* its user has not the right */
    {"ASK", REDIS_PROBE},             /* one node of a cluster: the room moves to another one */
    {"TRYAGAIN", REDIS_PROBE},        /* the same */
    {"BUSY", REDIS_PROBE},            /* somebody's script does not end */
    {"WRONGTYPE", REDIS_PROBE},       /* a key that somebody has broken by hand */
    {"EXECABORT", REDIS_PROBE},       /* a command before it was refused */
    {"ERR", REDIS_PROBE},             /* whatever else; also an unknown command */
};

static const struct {
    const char *word, *advice;
} advices[] = {
    {"READONLY", "this is a replica: people can talk through its master alone"},
    {"MOVED", "this is a node of a cluster: write redis-cluster://"},
    {"NOAUTH", "put its password into redis-password-file, and its user into the URL"},
    {"WRONGPASS", "check the user in the URL, and redis-password-file"},
};

enum { WORDS_BYTES = 160 }; /* of Redis, in `text` */

static const struct meaning unknown = {"other", REDIS_PROBE};

static bool begins_with(const char *text, const char *end, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(end - text) >= len && memcmp(text, word, len) == 0 &&
           (text + len == end || text[len] == ' ' || text[len] == ':');
}

static const struct meaning *find_meaning(const char *text, const char *end)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (begins_with(text, end, meanings[i].word))
            return &meanings[i];
    return &unknown;
}

/* An error that a script raises again is wrapped in an ERR with the place in the script. */
static const struct meaning *find_wrapped(const char *text, const char *end)
{
    for (const char *at = text + 1; at < end; at++) {
        if (at[-1] != ' ' && at[-1] != '-')
            continue;
        const struct meaning *meaning = find_meaning(at, end);
        if (meaning->verdict == REDIS_RECONNECT ||
            (meaning != &unknown && strcmp(meaning->word, "ERR") != 0))
            return meaning;
    }
    return NULL;
}

/* Where the text ends for us: "ERR unknown command 'X', with args beginning with: …". */
static const char *find_text_end(const char *text, size_t len)
{
    static const char arguments[] = ", with args beginning with";
    const char *found = memmem(text, len, arguments, sizeof arguments - 1);
    return found == NULL ? text + len : found;
}

/* It is shown in lines: of the log, and of the service manager, who takes each for a word of ours.
 */
static void copy_text(const char *text, size_t len, struct redis_error *out)
{
    if (len > WORDS_BYTES - 1)
        len = WORDS_BYTES - 1;
    memcpy(out->text, text, len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == '\x7f')
            out->text[i] = ' ';
    out->text[len] = '\0';
}

static void add_advice(struct redis_error *out)
{
    size_t len = strlen(out->text);
    if (len > 0 && out->text[len - 1] == '.')
        len--;
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (strcmp(out->word, advices[i].word) == 0)
            snprintf(out->text + len, sizeof out->text - len, "; %s", advices[i].advice);
}

void redis_error_read(const char *text, size_t len, struct redis_error *out)
{
    const char *end = find_text_end(text, len);
    const struct meaning *meaning = find_meaning(text, end);
    const struct meaning *wrapped = NULL;
    if (strcmp(meaning->word, "ERR") == 0)
        wrapped = find_wrapped(text, end);
    if (wrapped != NULL)
        meaning = wrapped;
    out->word = meaning->word;
    out->verdict = meaning->verdict;
    copy_text(text, (size_t)(end - text), out);
    add_advice(out);
}

void redis_error_mark_optional(struct redis_error *error)
{
    if (error->verdict != REDIS_PROBE)
        return;
    error->word = "optional";
    error->verdict = REDIS_EXPECTED;
}
