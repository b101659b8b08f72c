#include "redis/error_log.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TELL_EVERY_MS = 60000,
    MOST_TEXTS = 4, /* of a kind, in that time: rights are refused one by one */
};

/* What has come of one kind since it was last told. */
struct fault {
    const char *word; /* NULL: free */
    uint64_t texts[MOST_TEXTS];
    size_t text_count;
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

/* Is this text to be told? Two that are taken for one are counted together, no more. */
static bool is_new(struct fault *fault, const char *text)
{
    uint64_t value = text_hash(text);
    for (size_t i = 0; i < fault->text_count; i++)
        if (fault->texts[i] == value)
            return false;
    if (fault->text_count == MOST_TEXTS)
        return false;
    fault->texts[fault->text_count++] = value;
    return true;
}

void redis_faults_note(struct redis_faults *faults, const struct redis_error *error)
{
    metrics_count_word(&faults->metrics->redis_errors, error->word);
    if (error->verdict == REDIS_OURS)
        return;
    struct fault *fault = find(faults, error->word);
    if (!is_new(fault, error->text)) {
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
            faults->faults[i].text_count = 0;
    }
}
