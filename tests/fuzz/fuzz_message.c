#include "fuzz.h"
#include "protocol/message.h"

/* What is read the short way must be what the full parser reads. */
static void check_short_way(const uint8_t *data, size_t len)
{
    struct message_in fast = {0};
    struct message_in full = {0};
    const char *why;
    struct text spaced = fuzz_put_space_before(data, len);
    int error = message_parse(data, len, &fast, &why);
    must(error == message_parse((const uint8_t *)spaced.data, spaced.len, &full, &why),
         "both ways take it, or none");
    must(fast.type == full.type, "the same type");
    must(fast.text_len == full.text_len && fast.text_characters == full.text_characters &&
             fast.name_len == full.name_len && fast.since_seq == full.since_seq,
         "the same lengths and numbers");
    must_be_same(fast.name, full.name, "the same name");
    must_be_same(fast.resume, full.resume, "the same token");
    must_be_same(fast.since_epoch, full.since_epoch, "the same epoch to resume in");
    must_be_same(fast.text, full.text, "the same text");
    must_be_same(fast.nonce, full.nonce, "the same nonce");
    must_be_same(fast.epoch, full.epoch, "the same epoch");
    message_in_done(&fast);
    message_in_done(&full);
    text_done(&spaced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char nonce[MESSAGE_NONCE_BYTES];
    check_short_way(data, len);
    message_find_nonce(data, len, nonce);
    struct message_in message;
    struct text out = TEXT_EMPTY;
    const char *why;
    if (message_parse(data, len, &message, &why) != 0)
        return 0;
    if (message.type == MESSAGE_SAY)
        message_add_say(&out, "{}", &message);
    text_done(&out);
    message_in_done(&message);
    return 0;
}
