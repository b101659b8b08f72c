/* control: what an operator types on the channel P:control, read from JSON, and what a gateway
 * answers there. Knows what a command means for nobody. With message.c and room_event.c the only
 * user of jansson. */
#ifndef YUKIZURI_PROTOCOL_CONTROL_H
#define YUKIZURI_PROTOCOL_CONTROL_H

#include "base/text.h"
#include "protocol/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum control_do {
    CONTROL_KICK,
    CONTROL_MUTE,
    CONTROL_UNMUTE,
    CONTROL_SLOW,
    CONTROL_LOCK,
    CONTROL_UNLOCK,
    CONTROL_CLEAR,
};

enum control_by { CONTROL_BY_NOTHING, CONTROL_BY_ID, CONTROL_BY_NAME, CONTROL_BY_ADDRESS };

enum {
    CONTROL_BYTES = 4096, /* a longer command is none */
    CONTROL_REASON_CHARACTERS = 200,
    CONTROL_REASON_BYTES = CONTROL_REASON_CHARACTERS * 4 + 1,
    CONTROL_MOST_FOR_S = 31536000, /* a year */
    CONTROL_FOR_S = 3600,          /* where a command does not say */
    CONTROL_MOST_EVERY_S = 3600,
    CONTROL_EVERY_S = 10,
};

struct control {
    enum control_do what;
    char room[NAME_BYTES];
    enum control_by by;    /* whom it is about: KICK, MUTE, UNMUTE */
    char whom[NAME_BYTES]; /* the id, the folded name, or the text of an address or a block */
    unsigned for_s;        /* how long it lasts; KICK: 0 where it does not say */
    unsigned every_s;      /* SLOW: between two messages of a member; 0 ends it */
    char reason[CONTROL_REASON_BYTES]; /* "" for none; one line */
};

/* Reads one command. 0; or -1 with `*why` a sentence for the operator (static). */
int control_parse(const char *data, size_t len, struct control *out, const char **why);

/* "kick", …: the word for what is done (static). */
const char *control_word(enum control_do what);

/* "id", "name", "address"; "" for nothing (static). */
const char *control_by_word(enum control_by by);

struct control_done {
    const char *gateway;
    const struct control *control; /* NULL: the command could not be read */
    size_t members;                /* whom it met at this gateway */
    int64_t until_ms;              /* 0: it has no end */
    const char *error;             /* a sentence: it was not done as a whole; NULL: it was */
};

/* Appends the answer, one JSON object. */
void control_add_done(struct text *out, const struct control_done *done);

#endif
