/* room_event: what comes over a room's channel, and from what Redis keeps of it. Our own form of
 * messages and presence is read front to back (scan); all else goes through jansson, which
 * message.c, control.c and room_event.c alone use. */
#ifndef YUKIZURI_PROTOCOL_ROOM_EVENT_H
#define YUKIZURI_PROTOCOL_ROOM_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum room_event_type { EVENT_MESSAGE, EVENT_PRESENCE, EVENT_TYPING, EVENT_NOTICE, EVENT_EPOCH };

/* A member as others see them. */
struct message_person {
    char *json; /* the event's; {"id":…,"name":…,"address":…,"mark":…}, who left without the last
                   two */
    const char *id; /* in the same memory, behind it */
};

/* What came over a room's channel. Strings and people belong to the event, room_event_done frees
 * them; `json` stays the caller's of room_event_parse, whose bytes must live as long as it is
 * looked at. */
struct room_event {
    enum room_event_type type;
    uint64_t seq;     /* message and presence; 0 for the others */
    int64_t at_ms;    /* message: Redis' clock; else 0 */
    const char *json; /* the bytes as they came */
    size_t len;
    const char *text;  /* notice */
    const char *epoch; /* epoch: the one that goes on from here; a valid one */
    struct message_person *joined, *left;
    size_t joined_count, left_count;
    uint64_t count; /* presence: members afterwards */
    void *root;
};

enum room_event_error {
    EVENT_BAD_JSON = -1, /* begins like JSON and is none */
    EVENT_FOREIGN = -2,  /* JSON, but no event of ours */
    EVENT_CONTROL = -3,  /* a line with control bytes, or not UTF-8 */
    EVENT_TOO_LONG = -4, /* a line, or a notice, longer than `max_text` characters */
};

/* Reads what was published on a room's channel. A line of text is a notice. 0, or a
 * room_event_error with nothing to free. */
int room_event_parse(const char *data, size_t len, size_t max_text, struct room_event *out);
void room_event_done(struct room_event *event);

/* A word for the log: "bad_json", "foreign", … */
const char *room_event_error_name(enum room_event_error error);

#endif
