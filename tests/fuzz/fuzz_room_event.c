/* What comes on a room's channel: events of ours, in our own form or another, and what an operator
 * or a stranger publishes there: lines of text, notices, other JSON, anything. */
#include "fuzz.h"
#include "history/presence_batch.h"
#include "protocol/lineage.h"
#include "protocol/message.h"
#include "protocol/scan.h"
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

/* Members get it as it came. */
static void check_forwarded(const struct room_event *event, const uint8_t *data, size_t len)
{
    must(event->json == (const char *)data && event->len == len, "all of it");
    must(scan_is_utf8(event->json, event->len), "which is UTF-8");
    json_t *root = json_loadb(event->json, event->len, 0, NULL);
    must(json_is_object(root), "and one JSON object");
    must(json_is_string(json_object_get(root, "type")), "with a type");
    json_decref(root);
}

/* A line has no bytes that a terminal or a browser would act on. */
static void check_line(const struct room_event *event, const uint8_t *data, size_t len)
{
    must(strlen(event->text) == len && memcmp(event->text, data, len) == 0, "all of the line");
    for (size_t i = 0; i < len; i++)
        must(data[i] >= ' ' && data[i] != 0x7f, "without control bytes");
}

/* Members get a message of ours with its text. */
static void check_notice(const struct room_event *event, const uint8_t *data, size_t len)
{
    struct text out = TEXT_EMPTY;
    size_t start = strspn((const char *)data, " \t\n");
    must(event->text[0] != '\0' && strlen(event->text) <= MAX_TEXT * 4, "a text, and not too long");
    if (data[start] != '{')
        check_line(event, data, len);
    message_add_notice(&out, event->text, NULL);
    json_t *root = json_loadb(out.data, out.len, 0, NULL);
    must_be_same(json_string_value(json_object_get(root, "text")), event->text, "the same text");
    must_be_same(json_string_value(json_object_get(root, "type")), "notice", "of a notice");
    json_decref(root);
    text_done(&out);
}

static void check_event(const struct room_event *event, const uint8_t *data, size_t len)
{
    bool numbered = event->type == EVENT_MESSAGE || event->type == EVENT_PRESENCE;
    must((event->seq > 0) == numbered, "what is stored has a number, and nothing else");
    must(event->type == EVENT_MESSAGE || event->at_ms == 0, "a time is a message's");
    if (event->type == EVENT_NOTICE)
        check_notice(event, data, len);
    else
        check_forwarded(event, data, len);
    must(event->type != EVENT_EPOCH || lineage_is_epoch(event->epoch), "an epoch is one");
}

static void check_refusal(int error)
{
    must(error >= EVENT_TOO_LONG && error <= EVENT_BAD_JSON, "an error that is known");
    must(room_event_error_name(error)[0] != '\0', "and has a name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct room_event event;
    check_short_way(data, len);
    uint8_t *string =
        memcpy(malloc(len + 1), data, len); /* Redis' strings have a NUL behind them */
    string[len] = '\0';
    int error = room_event_parse((const char *)string, len, MAX_TEXT, &event);
    if (error != 0) {
        check_refusal(error);
        free(string);
        return 0;
    }
    check_event(&event, string, len);
    if (event.type == EVENT_PRESENCE) {
        struct roster *roster = roster_new();
        roster_apply(roster, &event);
        roster_list(roster, "me", "{}");
        roster_free(roster);
        add_to_batch(&event);
    }
    room_event_done(&event);
    free(string);
    return 0;
}
