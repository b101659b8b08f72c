#include "gathering.h"
#include "roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct room_event event;
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
