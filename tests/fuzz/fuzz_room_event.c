#include "fuzz.h"
#include "history/presence_batch.h"
#include "room/roster.h"

#include <jansson.h>

enum { MAX_TEXT = 2000 };

static void must_be_same_json(const char *fast, const char *full)
{
    json_t *one = json_loads(fast, 0, NULL);
    json_t *other = json_loads(full, 0, NULL);
    must(one != NULL && json_equal(one, other), "the same person");
    json_decref(one);
    json_decref(other);
}

static void must_be_same_people(const struct message_person *fast,
                                const struct message_person *full, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        must_be_same(fast[i].id, full[i].id, "the same id");
        must_be_same_json(fast[i].json, full[i].json);
    }
}

static void must_be_same_event(const struct room_event *fast, const struct room_event *full)
{
    must(fast->type == full->type, "the same type");
    must(fast->seq == full->seq && fast->at_ms == full->at_ms && fast->count == full->count,
         "the same numbers");
    must(fast->joined_count == full->joined_count && fast->left_count == full->left_count,
         "as many people");
    must_be_same_people(fast->joined, full->joined, fast->joined_count);
    must_be_same_people(fast->left, full->left, fast->left_count);
    must_be_same(fast->text, full->text, "the same text");
    must_be_same(fast->epoch, full->epoch, "the same epoch");
}

/* What is read the short way must be what the full parser reads. */
static void check_short_way(const uint8_t *data, size_t len)
{
    struct room_event fast = {0};
    struct room_event full = {0};
    if (len == 0 || data[0] != '{')
        return;
    struct text spaced = fuzz_put_space_before(data, len);
    int error = room_event_parse((const char *)data, len, MAX_TEXT, &fast);
    must(error == room_event_parse(spaced.data, spaced.len, MAX_TEXT, &full),
         "both ways take it, or none");
    must_be_same_event(&fast, &full);
    room_event_done(&fast);
    room_event_done(&full);
    text_done(&spaced);
}

static void add_to_batch(const struct room_event *event)
{
    struct presence_batch *batch = presence_batch_new();
    struct text out = TEXT_EMPTY;
    presence_batch_add(batch, event);
    presence_batch_seen(batch);
    presence_batch_add(batch, event);
    presence_batch_write(batch, &out);
    presence_batch_clear(batch);
    text_done(&out);
    presence_batch_free(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct room_event event;
    check_short_way(data, len);
    if (room_event_parse((const char *)data, len, MAX_TEXT, &event) != 0)
        return 0;
    if (event.type == EVENT_PRESENCE) {
        struct roster *roster = roster_new();
        roster_apply(roster, &event);
        roster_list(roster, "me", "{}");
        roster_free(roster);
        add_to_batch(&event);
    }
    room_event_done(&event);
    return 0;
}
