/* Messages of members: what is taken is whole, and is written as it was read; what is refused has a
 * reason for people. */
#include "fuzz.h"
#include "protocol/message.h"
#include "protocol/scan.h"
#include "protocol/unicode.h"

#include <jansson.h>

static void check_nonce(const char *nonce)
{
    size_t characters = unicode_count(nonce, strlen(nonce));
    must(scan_is_utf8(nonce, strlen(nonce)), "a nonce is UTF-8");
    must(characters >= 1 && characters <= MESSAGE_NONCE_CHARACTERS, "of 1 to 64 characters");
}

static void check_found_nonce(const uint8_t *data, size_t len)
{
    char nonce[MESSAGE_NONCE_BYTES];
    if (message_find_nonce(data, len, nonce))
        check_nonce(nonce);
}

static void check_join(const struct message_in *join)
{
    must(strlen(join->name) == join->name_len, "a name has no NUL in it");
    must(scan_is_utf8(join->name, join->name_len), "and is UTF-8");
    must(join->since_epoch != NULL || join->since_seq == 0, "a number is of an epoch");
}

/* As members get it, with the number and the time that Redis puts before it. */
static void check_say(const struct message_in *say)
{
    struct text out = TEXT_EMPTY;
    must(strlen(say->text) == say->text_len, "a text has no NUL in it");
    must(say->text_characters > 0 && say->text_characters <= say->text_len, "nor is it empty");
    if (say->nonce != NULL)
        check_nonce(say->nonce);
    text_add_string(&out, "{");
    message_add_say(&out, "{\"id\":\"i\",\"name\":\"a\"}", say);
    json_t *root = json_loadb(out.data, out.len, 0, NULL);
    must_be_same(json_string_value(json_object_get(root, "text")), say->text, "the same text");
    must_be_same(json_string_value(json_object_get(root, "nonce")), say->nonce, "the same nonce");
    json_decref(root);
    text_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct message_in message;
    const char *why = NULL;
    check_found_nonce(data, len);
    if (message_parse(data, len, &message, &why) != 0) {
        must(why != NULL && why[0] != '\0', "a refusal says why");
        return 0;
    }
    must(scan_is_utf8((const char *)data, len), "what is taken is UTF-8");
    if (message.type == MESSAGE_JOIN)
        check_join(&message);
    else if (message.type == MESSAGE_SAY)
        check_say(&message);
    message_in_done(&message);
    return 0;
}
