#include "redis/error_log.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_EVERY_MS = 60000 };

/* What has come of one kind since it was last logged. */
struct kind {
    const char *word;            /* NULL: free */
    struct error_log_seen texts; /* rights are refused one by one */
    uint64_t more;
};

struct error_log {
    struct metrics *metrics;
    struct log *log;
    struct kind kinds[METRICS_WORDS];
    int64_t logged_ms;
};

struct error_log *error_log_new(struct metrics *metrics, struct log *log)
{
    struct error_log *errors = memory_new(sizeof *errors);
    errors->metrics = metrics;
    errors->log = log;
    return errors;
}

void error_log_free(struct error_log *errors)
{
    free(errors);
}

/* Words are static strings of a set smaller than the array. */
static struct kind *find_kind(struct error_log *errors, const char *word)
{
    size_t i = 0;
    while (i < METRICS_WORDS - 1 && errors->kinds[i].word != NULL &&
           strcmp(errors->kinds[i].word, word) != 0)
        i++;
    errors->kinds[i].word = word;
    return &errors->kinds[i];
}

bool error_log_is_new(struct error_log_seen *seen, const char *text)
{
    uint64_t hash = text_hash(text);
    for (size_t i = 0; i < seen->count; i++)
        if (seen->hashes[i] == hash)
            return false;
    if (seen->count == ERROR_LOG_SEEN_MOST)
        return false;
    seen->hashes[seen->count++] = hash;
    return true;
}

static void warn_of_error(const struct error_log *errors, const char *message, const char *err)
{
    log_write(errors->log,
              &(struct log_line){
                  .level = LOG_LEVEL_WARN, .kind = "redis-error", .message = message, .err = err});
}

void error_log_note(struct error_log *errors, const struct redis_error *error)
{
    metrics_count_word(&errors->metrics->redis_errors, error->word);
    if (error->verdict == REDIS_EXPECTED)
        return;
    struct kind *kind = find_kind(errors, error->word);
    if (error_log_is_new(&kind->texts, error->text))
        warn_of_error(errors,
                      "Redis refused a command; further ones are counted and told once a minute",
                      error->text);
    else
        kind->more++;
}

static void log_more(const struct error_log *errors, struct kind *kind)
{
    char message[96];
    snprintf(message, sizeof message, "%" PRIu64 " more in the last minute", kind->more);
    warn_of_error(errors, message, kind->word);
    kind->more = 0;
}

void error_log_tick(struct error_log *errors, int64_t now_ms)
{
    if (errors->logged_ms == 0)
        errors->logged_ms = now_ms;
    if (now_ms - errors->logged_ms < LOG_EVERY_MS)
        return;
    errors->logged_ms = now_ms;
    for (struct kind *kind = errors->kinds;
         kind < errors->kinds + METRICS_WORDS && kind->word != NULL; kind++) {
        if (kind->more > 0)
            log_more(errors, kind);
        else
            kind->texts.count = 0;
    }
}

void error_log_repair(struct log *log, const char *key, bool *logged)
{
    if (!*logged)
        log_write(log, &(struct log_line){
                           .level = LOG_LEVEL_WARN,
                           .kind = "key-mended",
                           .id = key,
                           .message = "it was no key of ours, or had no end, set by somebody else; "
                                      "it is mended",
                       });
    *logged = true;
}
