#include "decoder_notes.h"

#include "unit.h"

char decoder_notes_seen[4096];
uint8_t decoder_notes_sent[1024];
size_t decoder_notes_sent_len;

static void note(char what, const void *data, size_t len)
{
    size_t at = strlen(decoder_notes_seen);
    snprintf(decoder_notes_seen + at, sizeof decoder_notes_seen - at, "%c(%.*s)", what, (int)len,
             (const char *)data);
}

static void on_message(void *arg, bool text, const uint8_t *data, size_t len)
{
    (void)arg;
    note(text ? 'T' : 'B', data, len);
}

static void on_close(void *arg, uint16_t code)
{
    char text[8];
    (void)arg;
    note('C', text, (size_t)snprintf(text, sizeof text, "%u", code));
}

static void on_control(void *arg, bool ping, const uint8_t *data, size_t len)
{
    (void)arg;
    note(ping ? 'P' : 'Q', data, len);
}

static void on_send(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    memcpy(decoder_notes_sent + decoder_notes_sent_len, data, len);
    decoder_notes_sent_len += len;
}

const struct decoder_callbacks decoder_notes = {NULL, on_message, on_close, on_control, on_send};

void decoder_notes_clear(void)
{
    decoder_notes_seen[0] = '\0';
    decoder_notes_sent_len = 0;
}
