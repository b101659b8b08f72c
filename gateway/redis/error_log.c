#include "redis/error_log.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TELL_EVERY_MS = 60000 };

/* What has come of one kind since it was last told. */
struct fault {
    const char *word;       /* NULL: free */
    struct redis_told told; /* rights are refused one by one */
    uint64_t more;
};

struct redis_faults {
    struct metrics *metrics;
    struct log *log;
    struct fault faults[METRICS_WORDS];
    int64_t told_ms;
};

struct redis_faults *redis_faults_new(struct metrics *metrics, struct log *log)
{
    struct redis_faults *faults = memory_new(sizeof *faults);
    faults->metrics = metrics;
    faults->log = log;
    return faults;
}

void redis_faults_free(struct redis_faults *faults)
{
    free(faults);
}

/* Words are static strings of a set smaller than the array. */
static struct fault *find(struct redis_faults *faults, const char *word)
{
    size_t i = 0;
    while (i < METRICS_WORDS - 1 && faults->faults[i].word != NULL &&
           strcmp(faults->faults[i].word, word) != 0)
        i++;
    faults->faults[i].word = word;
    return &faults->faults[i];
}

bool redis_told_add(struct redis_told *told, const char *text)
{
    uint64_t value = text_hash(text);
    for (size_t i = 0; i < told->count; i++)
        if (told->texts[i] == value)
            return false;
    if (told->count == REDIS_TOLD_MOST)
        return false;
    told->texts[told->count++] = value;
    return true;
}

void redis_faults_note(struct redis_faults *faults, const struct redis_error *error)
{
    metrics_count_word(&faults->metrics->redis_errors, error->word);
    if (error->verdict == REDIS_OURS)
        return;
    struct fault *fault = find(faults, error->word);
    if (!redis_told_add(&fault->told, error->text)) {
        fault->more++;
        return;
    }
    log_write(faults->log, &(struct log_line){
                               .level = LOG_LEVEL_WARN,
                               .kind = "redis-error",
                               .message = "Redis refused a command; further ones are counted and "
                                          "told once a minute",
                               .err = error->text,
                           });
}

static void tell_more(struct redis_faults *faults, struct fault *fault)
{
    char message[96];
    snprintf(message, sizeof message, "%" PRIu64 " more in the last minute", fault->more);
    log_write(faults->log, &(struct log_line){
                               .level = LOG_LEVEL_WARN,
                               .kind = "redis-error",
                               .message = message,
                               .err = fault->word,
                           });
    fault->more = 0;
}

void redis_faults_tick(struct redis_faults *faults, int64_t now_ms)
{
    if (faults->told_ms == 0)
        faults->told_ms = now_ms;
    if (now_ms - faults->told_ms < TELL_EVERY_MS)
        return;
    faults->told_ms = now_ms;
    for (size_t i = 0; i < METRICS_WORDS && faults->faults[i].word != NULL; i++) {
        if (faults->faults[i].more > 0)
            tell_more(faults, &faults->faults[i]);
        else
            faults->faults[i].told.count = 0;
    }
}

void repaired_log(struct log *log, const char *key, bool *told)
{
    if (!*told)
        log_write(log, &(struct log_line){
                           .level = LOG_LEVEL_WARN,
                           .kind = "key-mended",
                           .id = key,
                           .message = "it was no key of ours, or had no end, set by somebody else; "
                                      "it is mended",
                       });
    *told = true;
}
