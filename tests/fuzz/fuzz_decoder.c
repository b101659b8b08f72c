#include "websocket/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void on_message(void *arg, bool text, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)text;
    (void)data;
    (void)len;
}

static void on_close(void *arg, uint16_t code)
{
    (void)arg;
    (void)code;
}

static void on_control(void *arg, bool ping, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)ping;
    (void)data;
    (void)len;
}

static void on_send(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

/* The first byte says where the rest is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct decoder_callbacks callbacks = {on_message, on_close, on_control, on_send};
    uint16_t code;
    if (len < 1)
        return 0;
    size_t cut = data[0] < len - 1 ? data[0] : len - 1;
    struct decoder *decoder = decoder_new(&callbacks, 1000, NULL);
    if (decoder_feed(decoder, data + 1, cut, &code) == DECODER_OPEN)
        decoder_feed(decoder, data + 1 + cut, len - 1 - cut, &code);
    decoder_free(decoder);
    return 0;
}
