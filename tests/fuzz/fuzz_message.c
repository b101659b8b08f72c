#include "message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must_be_same(const char *a, const char *b)
{
    if ((a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0))
        abort();
}

/* What is read the short way must be what the full parser reads: a space before it sends it there.
 */
static void check_short_way(const uint8_t *data, size_t len)
{
    struct message_in fast = {0};
    struct message_in full = {0};
    const char *why;
    struct text spaced = TEXT_EMPTY;
    text_add_string(&spaced, " ");
    text_add(&spaced, (const char *)data, len);
    int error = message_parse(data, len, &fast, &why);
    if (error != message_parse((const uint8_t *)spaced.data, spaced.len, &full, &why) ||
        fast.type != full.type || fast.text_characters != full.text_characters)
        abort();
    must_be_same(fast.text, full.text);
    must_be_same(fast.nonce, full.nonce);
    must_be_same(fast.epoch, full.epoch);
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
