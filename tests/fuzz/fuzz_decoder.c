/* Frames of a client, as the connection feeds them: with and without compression. */
#include "fuzz.h"
#include "protocol/deflate.h"
#include "protocol/scan.h"
#include "websocket/decoder.h"

enum { MOST = 1000 };

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
    must(len <= MOST, "no message is longer than the limit");
    must(!text || scan_is_utf8((const char *)data, len), "text is UTF-8");
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
    must(len <= 125, "control frames are short");
}

static void on_send(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

/* Cuts the input in two. */
static void decode(const uint8_t *data, size_t len, size_t cut, struct inflater *inflater)
{
    static const struct decoder_callbacks callbacks = {may_go_on, on_message, on_close, on_control,
                                                       on_send};
    static const struct decoder_limits limits = {MOST, 8};
    uint16_t code;
    bool may = false;
    struct decoder *decoder = decoder_new(&callbacks, &limits, &may);
    if (inflater != NULL)
        decoder_set_inflater(decoder, inflater);
    enum decoder_result result = decoder_feed(decoder, data, cut, &code);
    if (result == DECODER_OPEN)
        result = decoder_feed(decoder, data + cut, len - cut, &code);
    while (result == DECODER_OPEN && decoder_has_waiting(decoder))
        result = decoder_feed(decoder, NULL, 0, &code);
    decoder_free(decoder);
}

/* The first byte says where the rest is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct inflater *inflater;
    static uint64_t count;
    if (inflater == NULL)
        inflater = inflater_new(MOST, &count);
    if (len < 1)
        return 0;
    size_t cut = data[0] < len - 1 ? data[0] : len - 1;
    decode(data + 1, len - 1, cut, NULL);
    decode(data + 1, len - 1, cut, inflater);
    return 0;
}
