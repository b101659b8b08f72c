#include "protocol/lineage.h"

#include "base/number.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EPOCH_CHARACTERS = 20 };

bool lineage_is_epoch(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strspn(text, allowed);
    return len > 0 && len <= EPOCH_CHARACTERS && text[len] == '\0';
}

static void add_fork(struct lineage *lineage, const struct lineage_fork *fork)
{
    if (lineage->count == LINEAGE_FORKS) {
        memmove(lineage->forks, lineage->forks + 1, sizeof *fork * (LINEAGE_FORKS - 1));
        lineage->count--;
    }
    lineage->forks[lineage->count++] = *fork;
}

/* "EPOCH:SEQ", `len` bytes of it. */
static void read_fork(struct lineage *lineage, const char *text, size_t len)
{
    struct lineage_fork fork = {.seq = 0};
    const char *colon = memchr(text, ':', len);
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof fork.epoch)
        return;
    char *end;
    memcpy(fork.epoch, text, (size_t)(colon - text));
    fork.seq = strtoull(colon + 1, &end, 10);
    bool good = fork.seq < (uint64_t)NUMBER_END; /* strtoull may have ended at the highest */
    if (good && end == text + len && colon[1] >= '0' && colon[1] <= '9')
        add_fork(lineage, &fork);
}

struct lineage lineage_read(const char *epoch, const char *forks)
{
    struct lineage lineage = {.count = 0};
    snprintf(lineage.epoch, sizeof lineage.epoch, "%s", epoch == NULL ? "" : epoch);
    while (forks != NULL && *forks != '\0') {
        size_t len = strcspn(forks, " ");
        read_fork(&lineage, forks, len);
        forks += len + strspn(forks + len, " ");
    }
    return lineage;
}

enum lineage_standing lineage_stand(const struct lineage *lineage, const char *epoch, uint64_t *seq)
{
    if (strcmp(lineage->epoch, epoch) == 0)
        return LINEAGE_SHARED;
    for (size_t i = lineage->count; i > 0; i--) {
        const struct lineage_fork *fork = &lineage->forks[i - 1];
        if (strcmp(fork->epoch, epoch) != 0)
            continue;
        if (*seq <= fork->seq)
            return LINEAGE_SHARED;
        *seq = fork->seq;
        return LINEAGE_FORKED;
    }
    *seq = 0;
    return LINEAGE_FOREIGN;
}

uint64_t lineage_unseen_from(const struct lineage *lineage)
{
    return lineage->count < LINEAGE_FORKS ? 0 : lineage->forks[lineage->count - 1].seq;
}

enum lineage_standing lineage_meet(const struct lineage *lineage, const struct lineage *own,
                                   uint64_t *seq)
{
    const char *epoch = own->epoch;
    uint64_t stood = *seq;
    for (size_t i = own->count;; i--) {
        uint64_t at = stood;
        if (lineage_stand(lineage, epoch, &at) != LINEAGE_FOREIGN) {
            bool shared = at == *seq;
            *seq = at;
            return shared ? LINEAGE_SHARED : LINEAGE_FORKED;
        }
        if (i == 0) {
            *seq = lineage_unseen_from(lineage);
            return LINEAGE_FOREIGN;
        }
        epoch = own->forks[i - 1].epoch;
        if (stood > own->forks[i - 1].seq)
            stood = own->forks[i - 1].seq;
    }
}
