#include "protocol/room_event.h"

#include "base/memory.h"
#include "base/number.h"
#include "protocol/lineage.h"
#include "protocol/scan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static bool is_person(const json_t *value)
{
    return json_is_string(json_object_get(value, "id")) &&
           json_is_string(json_object_get(value, "name"));
}

static bool read_number(const json_t *root, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(root, name);
    if (!json_is_integer(value) || !number_is_good(json_integer_value(value)))
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static struct message_person new_person(struct scan_string json, struct scan_string id)
{
    char *text = memory_new(json.len + id.len + 2);
    memcpy(text, json.data, json.len);
    memcpy(text + json.len + 1, id.data, id.len);
    return (struct message_person){text, text + json.len + 1};
}

static struct message_person copy_person(const json_t *person)
{
    char *json = json_dumps(person, JSON_COMPACT);
    const char *id = json_string_value(json_object_get(person, "id"));
    struct message_person copy =
        new_person((struct scan_string){json, strlen(json)}, (struct scan_string){id, strlen(id)});
    free(json);
    return copy;
}

static void free_persons(struct message_person *persons, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(persons[i].json);
    free(persons);
}

static int read_persons(const json_t *root, const char *name, struct message_person **out,
                        size_t *count)
{
    const json_t *list = json_object_get(root, name);
    if (!json_is_array(list))
        return EVENT_FOREIGN;
    size_t size = json_array_size(list);
    struct message_person *persons = memory_new(size * sizeof *persons + 1);
    for (size_t i = 0; i < size; i++) {
        const json_t *person = json_array_get(list, i);
        if (!is_person(person)) {
            free_persons(persons, i);
            return EVENT_FOREIGN;
        }
        persons[i] = copy_person(person);
    }
    *out = persons;
    *count = size;
    return 0;
}

static int read_message(const json_t *root, struct room_event *out)
{
    uint64_t at = 0;
    if (!read_number(root, "seq", &out->seq) || !read_number(root, "at", &at) ||
        !is_person(json_object_get(root, "from")) || !json_is_string(json_object_get(root, "text")))
        return EVENT_FOREIGN;
    out->type = EVENT_MESSAGE;
    out->at_ms = (int64_t)at;
    return out->seq > 0 ? 0 : EVENT_FOREIGN;
}

static int read_presence(const json_t *root, struct room_event *out)
{
    out->type = EVENT_PRESENCE;
    if (!read_number(root, "seq", &out->seq) || out->seq == 0 ||
        !read_number(root, "count", &out->count))
        return EVENT_FOREIGN;
    int error = read_persons(root, "joined", &out->joined, &out->joined_count);
    if (error == 0)
        error = read_persons(root, "left", &out->left, &out->left_count);
    return error;
}

static int read_notice(const json_t *root, size_t max_text, struct room_event *out)
{
    out->type = EVENT_NOTICE;
    out->text = json_string_value(json_object_get(root, "text"));
    if (out->text == NULL || out->text[0] == '\0')
        return EVENT_FOREIGN;
    return max_text > 0 && strlen(out->text) > max_text * 4 ? EVENT_TOO_LONG : 0;
}

static int read_epoch(const json_t *root, struct room_event *out)
{
    out->type = EVENT_EPOCH;
    out->epoch = json_string_value(json_object_get(root, "epoch"));
    return out->epoch != NULL && lineage_is_epoch(out->epoch) ? 0 : EVENT_FOREIGN;
}

static int read_json(const char *data, size_t len, size_t max_text, struct room_event *out)
{
    json_t *root = json_loadb(data, len, 0, NULL);
    if (root == NULL)
        return EVENT_BAD_JSON;
    out->root = root;
    const char *type = json_string_value(json_object_get(root, "type"));
    if (type == NULL)
        return EVENT_FOREIGN;
    if (strcmp(type, "message") == 0)
        return read_message(root, out);
    if (strcmp(type, "presence") == 0)
        return read_presence(root, out);
    if (strcmp(type, "notice") == 0)
        return read_notice(root, max_text, out);
    if (strcmp(type, "epoch") == 0)
        return read_epoch(root, out);
    out->type = EVENT_TYPING;
    if (strcmp(type, "typing") == 0 && is_person(json_object_get(root, "from")))
        return 0;
    return EVENT_FOREIGN;
}

/* --- What our scripts have written; whatever looks different is left to read_json --- */

/* An id has no escapes: its bytes are the id. */
static struct scan_string scan_person(struct scan *scan, struct scan_string *id)
{
    const char *start = scan->at;
    scan_expect(scan, "{\"id\":");
    *id = scan_string(scan, true);
    scan_expect(scan, ",\"name\":");
    scan_string(scan, false);
    if (scan_skip(scan, ",\"address\":"))
        scan_string(scan, false);
    if (scan_skip(scan, ",\"mark\":"))
        scan_string(scan, false);
    scan_expect(scan, "}");
    return (struct scan_string){start, scan->at == NULL ? 0 : (size_t)(scan->at - start)};
}

/* See publish.lua. */
static bool read_canonical_message(const char *data, size_t len, struct room_event *out)
{
    struct scan scan = scan_begin(data, len);
    struct scan_string id;
    scan_expect(&scan, "{\"type\":\"message\",\"seq\":");
    uint64_t seq = scan_number(&scan);
    scan_expect(&scan, ",\"at\":");
    uint64_t at_ms = scan_number(&scan);
    scan_expect(&scan, ",\"from\":");
    scan_person(&scan, &id);
    scan_expect(&scan, ",\"text\":");
    scan_string(&scan, false);
    if (scan_skip(&scan, ",\"nonce\":"))
        scan_string(&scan, false);
    scan_expect(&scan, "}");
    if (!scan_ends(&scan) || seq == 0 || !number_is_good((int64_t)(seq | at_ms)))
        return false;
    out->type = EVENT_MESSAGE;
    out->seq = seq;
    out->at_ms = (int64_t)at_ms;
    return true;
}

static void scan_persons(struct scan *scan, struct message_person **persons, size_t *count)
{
    scan_expect(scan, "[");
    while (scan->at != NULL && !scan_skip(scan, "]")) {
        struct scan_string id;
        if (*count > 0)
            scan_expect(scan, ",");
        struct scan_string json = scan_person(scan, &id);
        if (json.len == 0)
            return;
        *persons = memory_resize(*persons, *count + 1, sizeof **persons);
        (*persons)[(*count)++] = new_person(json, id);
    }
}

/* See emit_presence in prelude.lua. */
static bool read_canonical_presence(const char *data, size_t len, struct room_event *out)
{
    struct scan scan = scan_begin(data, len);
    struct room_event event = *out;
    event.type = EVENT_PRESENCE;
    scan_expect(&scan, "{\"type\":\"presence\",\"seq\":");
    event.seq = scan_number(&scan);
    scan_expect(&scan, ",\"joined\":");
    scan_persons(&scan, &event.joined, &event.joined_count);
    scan_expect(&scan, ",\"left\":");
    scan_persons(&scan, &event.left, &event.left_count);
    scan_expect(&scan, ",\"count\":");
    event.count = scan_number(&scan);
    scan_expect(&scan, "}");
    bool good =
        scan_ends(&scan) && event.seq > 0 && number_is_good((int64_t)(event.seq | event.count));
    if (good)
        *out = event;
    else
        room_event_done(&event);
    return good;
}

static bool has_control_bytes(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)data[i] < ' ' || data[i] == 0x7f)
            return true;
    return false;
}

/* A line typed into redis-cli. */
static int read_line(const char *data, size_t len, size_t max_text, struct room_event *out)
{
    if (has_control_bytes(data, len))
        return EVENT_CONTROL;
    if (max_text > 0 && len > max_text * 4)
        return EVENT_TOO_LONG;
    json_t *text = json_stringn(data, len); /* NULL when it is not UTF-8 */
    if (text == NULL || len == 0) {
        json_decref(text);
        return EVENT_CONTROL;
    }
    out->type = EVENT_NOTICE;
    out->root = text;
    out->text = json_string_value(text);
    return 0;
}

int room_event_parse(const char *data, size_t len, size_t max_text, struct room_event *out)
{
    struct room_event event = {.json = data, .len = len};
    size_t start = 0;
    if (read_canonical_message(data, len, &event) || read_canonical_presence(data, len, &event)) {
        *out = event;
        return 0;
    }
    while (start < len && (data[start] == ' ' || data[start] == '\t' || data[start] == '\n'))
        start++;
    bool json = start < len && (data[start] == '{' || data[start] == '[');
    int error =
        json ? read_json(data, len, max_text, &event) : read_line(data, len, max_text, &event);
    if (error != 0)
        room_event_done(&event);
    else
        *out = event;
    return error;
}

void room_event_done(struct room_event *event)
{
    free_persons(event->joined, event->joined_count);
    free_persons(event->left, event->left_count);
    json_decref(event->root);
    event->joined = event->left = NULL;
    event->joined_count = event->left_count = 0;
    event->root = NULL;
}

const char *room_event_error_name(enum room_event_error error)
{
    static const char *const names[] = {[-EVENT_BAD_JSON] = "bad_json",
                                        [-EVENT_FOREIGN] = "foreign",
                                        [-EVENT_CONTROL] = "control",
                                        [-EVENT_TOO_LONG] = "too_long"};
    return names[-error];
}
