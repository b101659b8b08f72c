#include "keys.h"

#include <string.h>

/* Puts words together, up to a NULL; what does not fit is cut (see KEY_BYTES). No printf: some keys
 * are made for each message. */
static struct key join(const char *const *words)
{
    struct key key;
    size_t len = 0;
    for (; *words != NULL; words++) {
        size_t more = strlen(*words);
        if (more > sizeof key.text - 1 - len)
            more = sizeof key.text - 1 - len;
        memcpy(key.text + len, *words, more);
        len += more;
    }
    key.text[len] = '\0';
    return key;
}

struct key key_room(const char *prefix, const char *room)
{
    return join((const char *const[]){prefix, ":{", room, "}", NULL});
}

struct key key_part(const char *channel, const char *part)
{
    return join((const char *const[]){channel, ":", part, NULL});
}

struct key key_item(const char *channel, const char *part, const char *item)
{
    return join((const char *const[]){channel, ":", part, ":", item, NULL});
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
    return join((const char *const[]){prefix, ":gateway:", id, ":rooms", NULL});
}

struct key key_gateway_probe(const char *prefix, const char *id)
{
    return join((const char *const[]){prefix, ":gateway:", id, ":probe", NULL});
}

struct key key_bury(const char *prefix, const char *id)
{
    return key_item(prefix, "bury", id);
}
