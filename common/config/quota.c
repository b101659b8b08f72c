#include "config/quota.h"

#include "base/memory.h"
#include "base/table.h"

#include <stdlib.h>

struct usage {
    struct address unit;
    uint64_t count;
};

struct quota {
    uint64_t most;
    struct table *usages;
};

static struct table_key key_of(const void *value)
{
    const struct usage *usage = value;
    return (struct table_key){usage->unit.bytes, sizeof usage->unit.bytes};
}

struct quota *quota_new(uint64_t most)
{
    struct quota *quota = memory_new(sizeof *quota);
    quota->most = most;
    quota->usages = table_new(key_of);
    return quota;
}

void quota_free(struct quota *quota)
{
    if (quota == NULL)
        return;
    size_t at = 0;
    struct usage *usage;
    while ((usage = table_next(quota->usages, &at)) != NULL)
        free(usage);
    table_free(quota->usages);
    free(quota);
}

static bool is_counted(const struct quota *quota, const struct address *address)
{
    return quota->most > 0 && !address_is_loopback(address);
}

/* NULL when it has none, or is not counted. */
static struct usage *find_usage(const struct quota *quota, const struct address *address)
{
    struct address unit = address_unit(address);
    return is_counted(quota, address) ? table_find(quota->usages, unit.bytes, sizeof unit.bytes)
                                      : NULL;
}

bool quota_take(struct quota *quota, const struct address *address)
{
    if (!is_counted(quota, address))
        return true;
    struct usage *usage = find_usage(quota, address);
    if (usage != NULL && usage->count >= quota->most)
        return false;
    if (usage == NULL) {
        usage = memory_new(sizeof *usage);
        usage->unit = address_unit(address);
        table_add(quota->usages, usage);
    }
    usage->count++;
    return true;
}

void quota_give(struct quota *quota, const struct address *address)
{
    struct usage *usage = find_usage(quota, address);
    if (usage == NULL || --usage->count > 0)
        return;
    table_remove(quota->usages, usage);
    free(usage);
}

bool quota_is_scarce(const struct quota *quota, const struct address *address)
{
    const struct usage *usage = find_usage(quota, address);
    return usage != NULL && usage->count > quota->most / 2;
}
