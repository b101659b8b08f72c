#include "config/quota.h"

#include "base/memory.h"
#include "base/table.h"

#include <stdlib.h>

struct share {
    struct address unit;
    uint64_t count;
};

struct quota {
    uint64_t most;
    struct table *shares;
};

static struct table_key key_of(const void *value)
{
    const struct share *share = value;
    return (struct table_key){share->unit.bytes, sizeof share->unit.bytes};
}

struct quota *quota_new(uint64_t most)
{
    struct quota *quota = memory_new(sizeof *quota);
    quota->most = most;
    quota->shares = table_new(key_of);
    return quota;
}

void quota_free(struct quota *quota)
{
    if (quota == NULL)
        return;
    size_t at = 0;
    struct share *share;
    while ((share = table_next(quota->shares, &at)) != NULL)
        free(share);
    table_free(quota->shares);
    free(quota);
}

static bool is_counted(const struct quota *quota, const struct address *address)
{
    return quota->most > 0 && !address_is_loopback(address);
}

static struct share *find(const struct quota *quota, const struct address *unit)
{
    return table_find(quota->shares, unit->bytes, sizeof unit->bytes);
}

bool quota_take(struct quota *quota, const struct address *address)
{
    if (!is_counted(quota, address))
        return true;
    struct address unit = address_unit(address);
    struct share *share = find(quota, &unit);
    if (share != NULL && share->count >= quota->most)
        return false;
    if (share == NULL) {
        share = memory_new(sizeof *share);
        share->unit = unit;
        table_add(quota->shares, share);
    }
    share->count++;
    return true;
}

void quota_give(struct quota *quota, const struct address *address)
{
    if (!is_counted(quota, address))
        return;
    struct address unit = address_unit(address);
    struct share *share = find(quota, &unit);
    if (share == NULL || --share->count > 0)
        return;
    table_remove(quota->shares, share);
    free(share);
}

bool quota_is_scarce(const struct quota *quota, const struct address *address)
{
    if (!is_counted(quota, address))
        return false;
    struct address unit = address_unit(address);
    const struct share *share = find(quota, &unit);
    return share != NULL && share->count > quota->most / 2;
}
