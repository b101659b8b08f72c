#include "websocket/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Stops at every other frame. */
static bool may_go_on(void *arg)
{
    bool *may = arg;
    *may = !*may;
    return *may;
}

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
    static const struct decoder_callbacks callbacks = {may_go_on, on_message, on_close, on_control,
                                                       on_send};
    static const struct decoder_limits limits = {1000, 8};
    uint16_t code;
    bool may = false;
    if (len < 1)
        return 0;
    size_t cut = data[0] < len - 1 ? data[0] : len - 1;
    struct decoder *decoder = decoder_new(&callbacks, &limits, &may);
    enum decoder_result result = decoder_feed(decoder, data + 1, cut, &code);
    if (result == DECODER_OPEN)
        result = decoder_feed(decoder, data + 1 + cut, len - 1 - cut, &code);
    while (result == DECODER_OPEN && decoder_has_waiting(decoder))
        result = decoder_feed(decoder, NULL, 0, &code);
    decoder_free(decoder);
    return 0;
}
