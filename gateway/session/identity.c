#include "session/identity.h"

#include "base/memory.h"
#include "protocol/message.h"

#include <string.h>

struct identity *identity_new(const struct identity_parts *parts)
{
    bool same_name = strcmp(parts->name, parts->folded) == 0;
    size_t folded_len = strlen(parts->folded) + 1;
    size_t name_len = same_name ? 0 : strlen(parts->name) + 1;
    size_t shown_len = strlen(parts->shown) + 1;
    size_t mark_len = strlen(parts->mark) + 1;
    struct identity *identity =
        memory_new(sizeof *identity + folded_len + name_len + shown_len + mark_len);
    identity->number = parts->number;
    identity->asked_ms = parts->asked_ms;
    identity->name_at = (uint16_t)(same_name ? 0 : folded_len);
    identity->shown_at = (uint16_t)(folded_len + name_len);
    memcpy(identity->strings, parts->folded, folded_len);
    memcpy(identity->strings + identity->name_at, parts->name, strlen(parts->name) + 1);
    identity->mark_at = (uint16_t)(folded_len + name_len + shown_len);
    memcpy(identity->strings + identity->shown_at, parts->shown, shown_len);
    memcpy(identity->strings + identity->mark_at, parts->mark, mark_len);
    return identity;
}

/* An epoch of another length was set by hand: nobody knows then what the number means. */
void identity_set_floor(struct identity *identity, uint64_t floor, const char *epoch)
{
    size_t len = strlen(epoch);
    identity->floor = floor;
    memset(identity->floor_epoch, 0, sizeof identity->floor_epoch);
    if (len < sizeof identity->floor_epoch)
        memcpy(identity->floor_epoch, epoch, len);
}

const char *identity_name(const struct identity *identity)
{
    return identity->strings + identity->name_at;
}

const char *identity_folded(const struct identity *identity)
{
    return identity->strings;
}

const char *identity_shown(const struct identity *identity)
{
    return identity->strings + identity->shown_at;
}

const char *identity_mark(const struct identity *identity)
{
    return identity->strings + identity->mark_at;
}

char *identity_person_json(const struct identity *identity)
{
    return message_person_json(&(struct message_who){
        .id = identity->id,
        .name = identity_name(identity),
        .address = identity_shown(identity),
        .mark = identity_mark(identity),
    });
}
