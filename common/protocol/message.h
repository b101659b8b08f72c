/* message: the protocol's messages. What people send is parsed from JSON into struct message_in;
 * what goes out is written as JSON text, members as ready-made fragments ("persons"), so that
 * nothing is encoded once per recipient. What Redis delivers is read by room_event. */
#ifndef YUKIZURI_PROTOCOL_MESSAGE_H
#define YUKIZURI_PROTOCOL_MESSAGE_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MESSAGE_NONCE_CHARACTERS = 64,
    MESSAGE_NONCE_BYTES = MESSAGE_NONCE_CHARACTERS * 4 + 1, /* with the NUL */
    MESSAGE_EPOCH_BYTES = 24,    /* longest epoch that is believed, with the NUL */
    MESSAGE_PRESENCE_NAMES = 50, /* at most so many names in one presence message */
};

enum message_type {
    MESSAGE_JOIN,
    MESSAGE_SAY,
    MESSAGE_TYPING,
    MESSAGE_LEAVE,
    MESSAGE_PING,
    MESSAGE_MEMBERS,
};

/* A message of a member. Strings belong to the message, not to the bytes it was parsed from:
 * message_in_done frees them. */
struct message_in {
    enum message_type type;
    const char *name; /* join */
    size_t name_len;
    const char *resume; /* join: NULL when not given */
    const char *since_epoch;
    uint64_t since_seq;
    const char *challenge, *work; /* join: NULL when not given */
    const char *text;             /* say */
    size_t text_len;
    size_t text_characters;
    const char *nonce; /* say: NULL when not given */
    const char *epoch; /* say: in which it was first said; NULL when not given */
    void *root;        /* of which the strings are parts */
};

/* Parses one message. 0; or -1 with `*why` a sentence for people (static), and nothing to free. */
int message_parse(const uint8_t *data, size_t len, struct message_in *out, const char **why);
void message_in_done(struct message_in *message);

/* The nonce of a message that message_parse has refused, as far as it can be found: whoever said it
 * waits for an answer to it. False, with `out` untouched, when there is none, when it is itself
 * what is wrong, or when the message says that it is something else than a say. */
bool message_find_nonce(const uint8_t *data, size_t len, char out[MESSAGE_NONCE_BYTES]);

/* Appends a JSON string, quotes included. `text` is valid UTF-8. */
void message_add_string(struct text *out, const char *text, size_t len);

/* A member as others see it; address and mark are "" for none. */
struct message_who {
    const char *id, *name;
    const char *address;
    const char *mark; /* of the address: address_mark */
};

/* {"id":…,"name":…,"address":…,"mark":…}; what is "" is left out. The caller frees it. */
char *message_person_json(const struct message_who *who);

/* The end of a message event, from "from" on: publish.lua puts type, number and time before it. */
void message_add_say(struct text *out, const char *person, const struct message_in *say);

struct message_welcome {
    const char *room, *epoch, *me, *resume;
    uint64_t seq, count, missed;
    bool recovered;
    unsigned ping, retention;
    uint64_t max_text, max_message; /* characters (0: no limit), bytes */
    const char *members;            /* the persons, comma-separated, without brackets */
};

void message_add_welcome(struct text *out, const struct message_welcome *welcome);
void message_add_ack(struct text *out, const char *nonce, uint64_t seq);

struct message_error {
    const char *code;
    const char *message;    /* a sentence for people */
    const char *nonce;      /* or NULL */
    const char *suggestion; /* or NULL */
    double retry_after;     /* seconds; 0: left out, for what must not be repeated */
    const char *challenge;  /* or NULL; with the zero bits that the work is to have: */
    unsigned bits;
    int64_t until_ms;  /* since 1970: when it ends by itself; 0: left out */
    bool not_accepted; /* a say: it surely was not, by this sending */
};

void message_add_error(struct text *out, const struct message_error *error);

/* `kind` is "clear" for one upon which browsers empty their view, NULL for a word alone. */
void message_add_notice(struct text *out, const char *text, const char *kind);

/* Where the room is after the gap: its numbers may have begun again. */
void message_add_gap(struct text *out, uint64_t missed, const char *epoch, uint64_t seq);

/* Numbers go on in another epoch, and nothing was missed up to `seq`. */
void message_add_epoch(struct text *out, const char *epoch, uint64_t seq);
void message_add_reconnect(struct text *out, unsigned after_ms);
void message_add_typing(struct text *out, const char *person);
void message_add_members(struct text *out, uint64_t seq, uint64_t count, const char *members);

/* A coalesced presence; `joined` and `left` are persons, comma-separated. */
struct message_presence {
    uint64_t seq, count;
    uint64_t came, went; /* how many in all, beside those who are named */
    const char *joined, *left;
};

void message_add_presence(struct text *out, const struct message_presence *presence);

/* {"type":"resumed","id":…,"session":…}: one gateway tells another that a member came back
 * elsewhere. 0, or -1 when it is something else. */
struct message_resumed {
    char id[12];
    char session[24];
};
int message_parse_resumed(const char *data, size_t len, struct message_resumed *out);

#endif
