/* salvage: what can still be read of a JSON object that a full parser refused, or may refuse. It
 * looks for one member of the outermost object and forgives whatever stands beside it: bad escapes,
 * numbers of any size, rubbish behind the object, an object that is cut off. It allocates nothing
 * and believes nothing: what it finds are bytes of the input, for a parser to judge. */
#ifndef YUKIZURI_PROTOCOL_SALVAGE_H
#define YUKIZURI_PROTOCOL_SALVAGE_H

#include <stdbool.h>
#include <stddef.h>

/* A string as it stands in the input, quotes included; `data` is NULL when there is none. */
struct salvage_string {
    const char *data;
    size_t len;
};

/* The value of the member `key` (plain ASCII, compared as bytes: an escaped key is not found), the
 * last one if there are several, as a full parser has it. None when it is no string or is cut off.
 */
struct salvage_string salvage_find_string(const char *data, size_t len, const char *key);

#endif
