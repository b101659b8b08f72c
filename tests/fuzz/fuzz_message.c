#include "fuzz.h"
#include "protocol/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char nonce[MESSAGE_NONCE_BYTES];
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
