#include "config/sizes.h"

#include <inttypes.h>

enum {
    CHARACTER_BYTES = 12, /* \ud83d\ude00: RFC 8259 (section 7) has no longer form of a character */
    ENVELOPE_BYTES = 512, /* type, nonce and epoch */
};

const char *config_judge_sizes(const struct config *config, char *why, size_t size)
{
    uint64_t text = config->max_text;
    uint64_t message = config->max_message;
    uint64_t needed = text * CHARACTER_BYTES + ENVELOPE_BYTES;
    if (message >= needed)
        return NULL;
    snprintf(why, size,
             "%" PRIu64 " bytes do not hold a text of max-text = %" PRIu64
             " characters in JSON; set max-message to %" PRIu64 " or more, or max-text to %" PRIu64
             " or less",
             message, text, needed, (message - ENVELOPE_BYTES) / CHARACTER_BYTES);
    return why;
}
