/* salvage: what can still be read of a JSON object that a full parser refused, or may refuse. It
 * looks for one member of the outermost object and forgives whatever stands beside it: bad escapes,
 * numbers of any size, rubbish behind the object, an object that is cut off. It allocates nothing
 * and believes nothing: what it finds are bytes of the input, for a parser to judge. */
#ifndef YUKIZURI_PROTOCOL_SALVAGE_H
#define YUKIZURI_PROTOCOL_SALVAGE_H

#include "protocol/scan.h"

/* The value of the member `key` (ASCII, compared as bytes: an escaped key is not found), quotes
 * included; the last one if there are several, as a full parser has it. `data` is NULL when it is
 * no string, is cut off, or is not there. */
struct scan_string salvage_find_string(const char *data, size_t len, const char *key);

#endif
