#include "keys.h"

#include <stdio.h>

struct key key_room(const char *prefix, const char *room)
{
    struct key key;
    snprintf(key.text, sizeof key.text, "%s:{%s}", prefix, room);
    return key;
}

struct key key_part(const char *channel, const char *part)
{
    struct key key;
    snprintf(key.text, sizeof key.text, "%s:%s", channel, part);
    return key;
}

struct key key_item(const char *channel, const char *part, const char *item)
{
    struct key key;
    snprintf(key.text, sizeof key.text, "%s:%s:%s", channel, part, item);
    return key;
}

struct key key_global(const char *prefix, const char *part)
{
    return key_part(prefix, part);
}

struct key key_gateway(const char *prefix, const char *id)
{
    return key_item(prefix, "gateway", id);
}

struct key key_gateway_rooms(const char *prefix, const char *id)
{
    struct key key;
    snprintf(key.text, sizeof key.text, "%s:gateway:%s:rooms", prefix, id);
    return key;
}

struct key key_gateway_probe(const char *prefix, const char *id)
{
    struct key key;
    snprintf(key.text, sizeof key.text, "%s:gateway:%s:probe", prefix, id);
    return key;
}

struct key key_bury(const char *prefix, const char *id)
{
    return key_item(prefix, "bury", id);
}
