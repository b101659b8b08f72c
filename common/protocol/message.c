#include "protocol/message.h"

#include "base/memory.h"
#include "protocol/salvage.h"
#include "protocol/scan.h"
#include "protocol/unicode.h"

#include <jansson.h>
#include <string.h>

static int fail_parse(const char **why, const char *sentence)
{
    *why = sentence;
    return -1;
}

static int read_since(const json_t *root, struct message_in *out, const char **why)
{
    const json_t *since = json_object_get(root, "since");
    if (since == NULL || json_is_null(since))
        return 0;
    const char *epoch = json_string_value(json_object_get(since, "epoch"));
    const json_t *seq = json_object_get(since, "seq");
    if (epoch == NULL || !json_is_integer(seq) || json_integer_value(seq) < 0)
        return fail_parse(why, "\"since\" must be an object with \"epoch\" and \"seq\".");
    out->since_epoch = epoch;
    out->since_seq = (uint64_t)json_integer_value(seq);
    return 0;
}

/* A string, or nothing; false for anything else. */
static bool read_optional(const json_t *root, const char *name, const char **out)
{
    const json_t *value = json_object_get(root, name);
    *out = json_string_value(value);
    return value == NULL || json_is_null(value) || json_is_string(value);
}

static int read_join(const json_t *root, struct message_in *out, const char **why)
{
    const json_t *name = json_object_get(root, "name");
    if (!json_is_string(name))
        return fail_parse(why, "A \"join\" needs a \"name\".");
    out->name = json_string_value(name);
    out->name_len = json_string_length(name);
    if (!read_optional(root, "resume", &out->resume))
        return fail_parse(why, "\"resume\" must be a string.");
    if (!read_optional(root, "challenge", &out->challenge) ||
        !read_optional(root, "work", &out->work))
        return fail_parse(why, "\"challenge\" and \"work\" must be strings.");
    return read_since(root, out, why);
}

static bool is_fair_nonce(const json_t *nonce)
{
    size_t len = json_is_string(nonce)
                     ? unicode_count(json_string_value(nonce), json_string_length(nonce))
                     : 0;
    return len >= 1 && len <= MESSAGE_NONCE_CHARACTERS;
}

/* What makes a repeat harmless: the nonce, and the epoch in which it was first said. */
static int read_nonce(const json_t *root, struct message_in *out, const char **why)
{
    const json_t *nonce = json_object_get(root, "nonce");
    const json_t *epoch = json_object_get(root, "epoch");
    if (epoch != NULL && !json_is_null(epoch) && !json_is_string(epoch))
        return fail_parse(why, "\"epoch\" must be a string.");
    out->epoch = json_string_value(epoch);
    if (nonce == NULL || json_is_null(nonce))
        return 0;
    if (!is_fair_nonce(nonce))
        return fail_parse(why, "\"nonce\" must be a string of 1 to 64 characters.");
    out->nonce = json_string_value(nonce);
    return 0;
}

static int read_say(const json_t *root, struct message_in *out, const char **why)
{
    const json_t *text = json_object_get(root, "text");
    if (!json_is_string(text))
        return fail_parse(why, "A \"say\" needs a \"text\".");
    out->text = json_string_value(text);
    out->text_len = json_string_length(text);
    out->text_characters = unicode_count(out->text, out->text_len);
    if (unicode_is_blank(out->text))
        return fail_parse(why, "The text is empty.");
    return read_nonce(root, out, why);
}

static int read_type(const json_t *root, struct message_in *out, const char **why)
{
    static const struct {
        const char *name;
        enum message_type type;
    } types[] = {
        {"join", MESSAGE_JOIN},   {"say", MESSAGE_SAY},   {"typing", MESSAGE_TYPING},
        {"leave", MESSAGE_LEAVE}, {"ping", MESSAGE_PING}, {"members", MESSAGE_MEMBERS},
    };
    if (!json_is_object(root))
        return fail_parse(why, "A message must be a JSON object.");
    const char *type = json_string_value(json_object_get(root, "type"));
    if (type == NULL)
        return fail_parse(why, "A message needs a \"type\".");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(type, types[i].name) == 0) {
            out->type = types[i].type;
            return 0;
        }
    }
    return fail_parse(why, "This \"type\" is not known.");
}

/* Why jansson does not take it. */
static const char *explain(const json_error_t *error)
{
    static const char half[] = "invalid Unicode '";
    switch (json_error_code(error)) {
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "A message cannot contain the character U+0000.";
    case json_error_numeric_overflow:
        return "A number in this message is too big.";
    case json_error_end_of_input_expected:
        return "Something follows the JSON object: a message is one object.";
    case json_error_stack_overflow:
        return "This JSON is nested too deep.";
    default:
        return strncmp(error->text, half, sizeof half - 1) == 0
                   ? "A message cannot contain half a character (one surrogate without the other)."
                   : "This is not JSON.";
    }
}

int message_parse(const uint8_t *data, size_t len, struct message_in *out, const char **why)
{
    json_error_t refusal;
    json_t *root = json_loadb((const char *)data, len, 0, &refusal);
    if (root == NULL)
        return fail_parse(why, explain(&refusal));
    struct message_in message = {.root = root};
    int error = read_type(root, &message, why);
    if (error == 0 && message.type == MESSAGE_JOIN)
        error = read_join(root, &message, why);
    else if (error == 0 && message.type == MESSAGE_SAY)
        error = read_say(root, &message, why);
    if (error == 0)
        *out = message;
    else
        json_decref(root);
    return error;
}

void message_in_done(struct message_in *message)
{
    json_decref(message->root);
    message->root = NULL;
}

/* The member's value as a string, NULL when there is none. The caller lets it go. */
static json_t *salvage(const uint8_t *data, size_t len, const char *key)
{
    struct scan_string found = salvage_find_string((const char *)data, len, key);
    return found.data == NULL ? NULL : json_loadb(found.data, found.len, JSON_DECODE_ANY, NULL);
}

bool message_find_nonce(const uint8_t *data, size_t len, char out[MESSAGE_NONCE_BYTES])
{
    json_t *type = salvage(data, len, "type");
    json_t *nonce = salvage(data, len, "nonce");
    const char *word = json_string_value(type);
    bool found = is_fair_nonce(nonce) && (word == NULL || strcmp(word, "say") == 0);
    if (found)
        memcpy(out, json_string_value(nonce), json_string_length(nonce) + 1);
    json_decref(type);
    json_decref(nonce);
    return found;
}

/* Escapes what RFC 8259 (section 7) says must be, and nothing else. */
static void add_escaped(struct text *out, char byte)
{
    static const char named[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    for (const char *at = named; *at != '\0'; at += 2) {
        if (*at == byte) {
            text_add(out, (const char[]){'\\', at[1]}, 2);
            return;
        }
    }
    text_print(out, "\\u%04X", (unsigned)(uint8_t)byte);
}

void message_add_string(struct text *out, const char *text, size_t len)
{
    text_add(out, "\"", 1);
    size_t start = 0;
    for (size_t i = scan_unescaped(text, len); i < len; i++) {
        if ((uint8_t)text[i] >= ' ' && text[i] != '"' && text[i] != '\\')
            continue;
        text_add(out, text + start, i - start);
        add_escaped(out, text[i]);
        start = i + 1;
    }
    text_add(out, text + start, len - start);
    text_add(out, "\"", 1);
}

static void add_field(struct text *out, const char *before, const char *value)
{
    text_add_string(out, before);
    message_add_string(out, value, strlen(value));
}

static void add_number(struct text *out, const char *before, uint64_t number)
{
    text_add_string(out, before);
    text_add_number(out, number);
}

char *message_person_json(const struct message_who *who)
{
    struct text out = TEXT_EMPTY;
    add_field(&out, "{\"id\":", who->id);
    add_field(&out, ",\"name\":", who->name);
    if (who->address[0] != '\0')
        add_field(&out, ",\"address\":", who->address);
    if (who->mark[0] != '\0')
        add_field(&out, ",\"mark\":", who->mark);
    text_add_string(&out, "}");
    return text_take(&out);
}

void message_add_say(struct text *out, const char *person, const struct message_in *say)
{
    enum { AROUND = 128 }; /* the field names, and a short nonce */
    text_reserve(out, strlen(person) + say->text_len + AROUND);
    text_add_string(out, "\"from\":");
    text_add_string(out, person);
    text_add_string(out, ",\"text\":");
    message_add_string(out, say->text, say->text_len);
    if (say->nonce != NULL)
        add_field(out, ",\"nonce\":", say->nonce);
    text_add_string(out, "}");
}

void message_add_welcome(struct text *out, const struct message_welcome *welcome)
{
    add_field(out, "{\"type\":\"welcome\",\"v\":1,\"room\":", welcome->room);
    add_field(out, ",\"epoch\":", welcome->epoch);
    add_number(out, ",\"seq\":", welcome->seq);
    text_add_string(out, ",\"me\":");
    text_add_string(out, welcome->me);
    add_field(out, ",\"resume\":", welcome->resume);
    add_number(out, ",\"count\":", welcome->count);
    text_add_string(out, welcome->recovered ? ",\"recovered\":true" : ",\"recovered\":false");
    add_number(out, ",\"missed\":", welcome->missed);
    add_number(out, ",\"ping\":", welcome->ping);
    add_number(out, ",\"retention\":", welcome->retention);
    add_number(out, ",\"limits\":{\"text\":", welcome->max_text);
    add_number(out, ",\"message\":", welcome->max_message);
    text_add_string(out, "},\"members\":[");
    text_add_string(out, welcome->members);
    text_add_string(out, "]}");
}

void message_add_ack(struct text *out, const char *nonce, uint64_t seq)
{
    add_field(out, "{\"type\":\"ack\",\"nonce\":", nonce);
    add_number(out, ",\"seq\":", seq);
    text_add_string(out, "}");
}

void message_add_error(struct text *out, const struct message_error *error)
{
    add_field(out, "{\"type\":\"error\",\"code\":", error->code);
    add_field(out, ",\"message\":", error->message);
    if (error->nonce != NULL)
        add_field(out, ",\"nonce\":", error->nonce);
    if (error->not_accepted)
        text_add_string(out, ",\"accepted\":false");
    if (error->suggestion != NULL)
        add_field(out, ",\"suggestion\":", error->suggestion);
    if (error->retry_after > 0)
        text_print(out, ",\"retry_after\":%.1f", error->retry_after);
    if (error->challenge != NULL) {
        add_field(out, ",\"challenge\":", error->challenge);
        add_number(out, ",\"bits\":", error->bits);
    }
    if (error->until_ms > 0)
        add_number(out, ",\"until\":", (uint64_t)error->until_ms);
    text_add_string(out, "}");
}

void message_add_notice(struct text *out, const char *text, const char *kind)
{
    add_field(out, "{\"type\":\"notice\",\"text\":", text);
    if (kind != NULL)
        add_field(out, ",\"kind\":", kind);
    text_add_string(out, "}");
}

void message_add_gap(struct text *out, uint64_t missed, const char *epoch, uint64_t seq)
{
    add_number(out, "{\"type\":\"gap\",\"missed\":", missed);
    add_field(out, ",\"epoch\":", epoch);
    add_number(out, ",\"seq\":", seq);
    text_add_string(out, "}");
}

void message_add_epoch(struct text *out, const char *epoch, uint64_t seq)
{
    add_field(out, "{\"type\":\"epoch\",\"epoch\":", epoch);
    add_number(out, ",\"seq\":", seq);
    text_add_string(out, "}");
}

void message_add_reconnect(struct text *out, unsigned after_ms)
{
    add_number(out, "{\"type\":\"reconnect\",\"after\":", after_ms);
    text_add_string(out, "}");
}

void message_add_typing(struct text *out, const char *person)
{
    text_add_string(out, "{\"type\":\"typing\",\"from\":");
    text_add_string(out, person);
    text_add_string(out, "}");
}

void message_add_members(struct text *out, uint64_t seq, uint64_t count, const char *members)
{
    add_number(out, "{\"type\":\"members\",\"seq\":", seq);
    add_number(out, ",\"count\":", count);
    text_add_string(out, ",\"members\":[");
    text_add_string(out, members);
    text_add_string(out, "]}");
}

void message_add_presence(struct text *out, const struct message_presence *presence)
{
    add_number(out, "{\"type\":\"presence\",\"seq\":", presence->seq);
    text_add_string(out, ",\"joined\":[");
    text_add_string(out, presence->joined);
    text_add_string(out, "],\"left\":[");
    text_add_string(out, presence->left);
    add_number(out, "],\"came\":", presence->came);
    add_number(out, ",\"went\":", presence->went);
    add_number(out, ",\"count\":", presence->count);
    text_add_string(out, "}");
}

static int copy_member(const json_t *root, const char *name, char *out, size_t size)
{
    const char *value = json_string_value(json_object_get(root, name));
    if (value == NULL || strlen(value) >= size)
        return -1;
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

int message_parse_resumed(const char *data, size_t len, struct message_resumed *out)
{
    json_t *root = json_loadb(data, len, 0, NULL);
    const char *type = json_string_value(json_object_get(root, "type"));
    int error = type == NULL || strcmp(type, "resumed") != 0 ? -1 : 0;
    if (error == 0)
        error = copy_member(root, "id", out->id, sizeof out->id);
    if (error == 0)
        error = copy_member(root, "session", out->session, sizeof out->session);
    json_decref(root);
    return error;
}
