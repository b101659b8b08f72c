#include "redis/sentinel_vote.h"

#include <string.h>

bool sentinel_vote_is_same(const struct redis_host *one, const struct redis_host *other)
{
    return one->port == other->port && strcmp(one->name, other->name) == 0;
}

static size_t count_votes(const struct sentinel_answer *answers, size_t count,
                          const struct sentinel_answer *choice)
{
    size_t votes = 0;
    for (size_t i = 0; i < count; i++)
        votes += answers[i].given && answers[i].epoch == choice->epoch &&
                 sentinel_vote_is_same(&answers[i].master, &choice->master);
    return votes;
}

static size_t count_older(const struct sentinel_answer *answers, size_t count, uint64_t epoch)
{
    size_t older = 0;
    for (size_t i = 0; i < count; i++)
        older += answers[i].given && answers[i].epoch < epoch;
    return older;
}

static bool is_any_left(const struct sentinel_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (answers[i].given && !answers[i].refuted)
            return true;
    return false;
}

int sentinel_vote(const struct sentinel_answer *answers, size_t count,
                  const struct sentinel_answer *present, size_t sentinels)
{
    bool skip_refuted = is_any_left(answers, count);
    size_t best_votes = 0;
    int best = -1;
    for (size_t i = 0; i < count; i++) {
        if (!answers[i].given || (skip_refuted && answers[i].refuted))
            continue;
        size_t votes = 2 * count_votes(answers, count, &answers[i]) +
                       sentinel_vote_is_same(&answers[i].master, &present->master);
        bool newer = best < 0 || answers[i].epoch > answers[best].epoch;
        if (newer || (answers[i].epoch == answers[best].epoch && votes > best_votes)) {
            best = (int)i;
            best_votes = votes;
        }
    }
    if (best >= 0 && answers[best].epoch < present->epoch &&
        count_older(answers, count, present->epoch) <= sentinels / 2)
        return -1;
    return best;
}
