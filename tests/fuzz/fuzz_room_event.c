#include "gathering.h"
#include "roster.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read the short way must be what the full parser reads: a space before it sends it there.
 */
static void check_short_way(const uint8_t *data, size_t len)
{
    struct room_event fast = {0};
    struct room_event full = {0};
    if (len == 0 || data[0] != '{')
        return;
    struct text spaced = TEXT_EMPTY;
    text_add_string(&spaced, " ");
    text_add(&spaced, (const char *)data, len);
    int error = room_event_parse((const char *)data, len, 2000, &fast);
    if (error != room_event_parse(spaced.data, spaced.len, 2000, &full) || fast.type != full.type ||
        fast.seq != full.seq || fast.at_ms != full.at_ms)
        abort();
    room_event_done(&fast);
    room_event_done(&full);
    text_done(&spaced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct room_event event;
    check_short_way(data, len);
    if (room_event_parse((const char *)data, len, 2000, &event) != 0)
        return 0;
    struct roster *roster = roster_new();
    struct gathering *gathering = gathering_new();
    struct text out = TEXT_EMPTY;
    if (event.type == EVENT_PRESENCE) {
        roster_apply(roster, &event);
        roster_list(roster, "me", "{}");
        gathering_add(gathering, &event);
        gathering_take(gathering, &out);
    }
    text_done(&out);
    gathering_free(gathering);
    roster_free(roster);
    room_event_done(&event);
    return 0;
}
