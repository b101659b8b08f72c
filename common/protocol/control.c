#include "protocol/control.h"

#include "protocol/message.h"
#include "protocol/token.h"
#include "protocol/unicode.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = {
    [CONTROL_KICK] = "kick",   [CONTROL_MUTE] = "mute", [CONTROL_UNMUTE] = "unmute",
    [CONTROL_SLOW] = "slow",   [CONTROL_LOCK] = "lock", [CONTROL_UNLOCK] = "unlock",
    [CONTROL_CLEAR] = "clear",
};

enum { WORDS = sizeof words / sizeof *words };

static const char *const by_words[] = {
    [CONTROL_BY_NOTHING] = "",
    [CONTROL_BY_ID] = "id",
    [CONTROL_BY_NAME] = "name",
    [CONTROL_BY_ADDRESS] = "address",
};

const char *control_word(enum control_do what)
{
    return words[what];
}

const char *control_by_word(enum control_by by)
{
    return by_words[by];
}

/* --- Reading --- */

static const char *read_do(const json_t *root, struct control *out)
{
    const char *word = json_string_value(json_object_get(root, "do"));
    if (word == NULL)
        return "\"do\" is missing, or no text: kick, mute, unmute, slow, lock, unlock or clear.";
    for (int i = 0; i < WORDS; i++) {
        if (strcmp(word, words[i]) == 0) {
            out->what = (enum control_do)i;
            return NULL;
        }
    }
    return "This \"do\" is not known: it is kick, mute, unmute, slow, lock, unlock or clear.";
}

static const char *read_room(const json_t *root, struct control *out)
{
    const json_t *room = json_object_get(root, "room");
    if (!json_is_string(room))
        return "\"room\" is missing, or no text: the name of a room, such as \"lobby\".";
    if (name_judge_room(json_string_value(room), json_string_length(room), out->room) != NAME_OK)
        return "\"room\" is no name of a room.";
    return NULL;
}

static const char *read_name(const char *text, size_t len, struct control *out)
{
    struct name name;
    if (name_judge(text, len, &name) != NAME_OK)
        return "\"name\" is a name that nobody can have.";
    memcpy(out->whom, name.folded, sizeof out->whom);
    return NULL;
}

static const char *read_text(const char *text, size_t len, size_t most, struct control *out)
{
    if (len == 0 || len >= most)
        return "\"id\" or \"address\" is empty or too long.";
    memcpy(out->whom, text, len + 1);
    return NULL;
}

static bool needs_somebody(enum control_do what)
{
    return what == CONTROL_KICK || what == CONTROL_MUTE || what == CONTROL_UNMUTE;
}

static bool names_somebody(const json_t *root)
{
    for (int by = CONTROL_BY_ID; by <= CONTROL_BY_ADDRESS; by++)
        if (json_object_get(root, by_words[by]) != NULL)
            return true;
    return false;
}

/* Exactly one of the three; none where the whole room is met, lest somebody think otherwise. */
static const char *read_whom(const json_t *root, struct control *out)
{
    const json_t *found = NULL;
    if (!needs_somebody(out->what))
        return names_somebody(root) ? "This \"do\" is about the whole room: without \"id\", "
                                      "\"name\" and \"address\"."
                                    : NULL;
    for (int by = CONTROL_BY_ID; by <= CONTROL_BY_ADDRESS; by++) {
        const json_t *value = json_object_get(root, by_words[by]);
        if (value == NULL)
            continue;
        if (found != NULL || !json_is_string(value))
            return "Whom? One of \"id\", \"name\" and \"address\", a string.";
        found = value;
        out->by = (enum control_by)by;
    }
    if (found == NULL)
        return "Whom? \"id\", \"name\" or \"address\" is missing.";
    const char *text = json_string_value(found);
    size_t len = json_string_length(found);
    if (out->by == CONTROL_BY_NAME)
        return read_name(text, len, out);
    return read_text(text, len, out->by == CONTROL_BY_ID ? TOKEN_ID_BYTES : 64, out);
}

/* A whole number; `*out` stays as it is where there is none. */
static bool read_seconds(const json_t *root, const char *name, int64_t least, int64_t most,
                         unsigned *out)
{
    const json_t *value = json_object_get(root, name);
    if (value == NULL || json_is_null(value))
        return true;
    int64_t seconds = json_is_integer(value) ? json_integer_value(value) : -1;
    if (seconds < least || seconds > most)
        return false;
    *out = (unsigned)seconds;
    return true;
}

static const char *read_times(const json_t *root, struct control *out)
{
    out->for_s = out->what == CONTROL_KICK ? 0 : CONTROL_FOR_S;
    out->every_s = CONTROL_EVERY_S;
    if (!read_seconds(root, "for", 1, CONTROL_MOST_FOR_S, &out->for_s))
        return "\"for\" is a whole number of seconds, from 1 to 31536000.";
    if (!read_seconds(root, "every", 0, CONTROL_MOST_EVERY_S, &out->every_s))
        return "\"every\" is a whole number of seconds, from 0 to 3600.";
    return NULL;
}

static bool is_line(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return true;
}

static const char *read_reason(const json_t *root, struct control *out)
{
    const json_t *reason = json_object_get(root, "reason");
    if (reason == NULL || json_is_null(reason))
        return NULL;
    const char *text = json_string_value(reason);
    size_t len = json_string_length(reason);
    if (text == NULL || !is_line(text, len) || unicode_count(text, len) > CONTROL_REASON_CHARACTERS)
        return "\"reason\" is one line of at most 200 characters.";
    memcpy(out->reason, text, len + 1);
    return NULL;
}

/* The whole, or NULL with the sentence. */
static json_t *read_object(const char *data, size_t len, const char **why)
{
    json_error_t error;
    if (len > CONTROL_BYTES) {
        *why = "A command has at most 4,096 bytes.";
        return NULL;
    }
    json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);
    *why = "This is not JSON: one object, as in docs/redis.md.";
    if (json_is_object(root))
        *why = NULL;
    else if (root == NULL && json_error_code(&error) == json_error_duplicate_key)
        *why = "A field is there twice.";
    else if (root == NULL && json_error_code(&error) == json_error_numeric_overflow)
        *why = "A number is too large.";
    else if (root == NULL && json_error_code(&error) == json_error_null_character)
        *why = "A text has a NUL in it.";
    return root;
}

int control_parse(const char *data, size_t len, struct control *out, const char **why)
{
    static const char *(*const steps[])(const json_t *, struct control *) = {
        read_do, read_room, read_whom, read_times, read_reason};
    json_t *root = read_object(data, len, why);
    *out = (struct control){.what = CONTROL_KICK};
    for (size_t i = 0; i < sizeof steps / sizeof *steps && *why == NULL; i++)
        *why = steps[i](root, out);
    json_decref(root);
    return *why == NULL ? 0 : -1;
}

/* --- Answering --- */

static void add_field(struct text *out, const char *name, const char *value)
{
    text_print(out, ",\"%s\":", name);
    message_add_string(out, value, strlen(value));
}

void control_add_done(struct text *out, const struct control_done *done)
{
    const struct control *control = done->control;
    text_add_string(out, "{\"gateway\":");
    message_add_string(out, done->gateway, strlen(done->gateway));
    if (control != NULL) {
        add_field(out, "do", words[control->what]);
        add_field(out, "room", control->room);
        if (control->by != CONTROL_BY_NOTHING)
            add_field(out, by_words[control->by], control->whom);
    }
    if (done->error == NULL || done->members > 0)
        text_print(out, ",\"members\":%zu", done->members);
    if (done->until_ms > 0) {
        text_add_string(out, ",\"until\":");
        text_add_number(out, (uint64_t)done->until_ms);
    }
    if (done->error != NULL)
        add_field(out, "error", done->error);
    text_add_string(out, "}");
}
