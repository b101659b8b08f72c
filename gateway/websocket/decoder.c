#include "websocket/decoder.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum {
    SHORTEST_FRAME = 6, /* two bytes and the mask */
    PONG_HEAD = 2,
    /* a message may have so many fragments of any size, and one more for each so many bytes */
    SPARE_FRAGMENTS = 64,
    FRAGMENT_BYTES = 16,
    TOO_BIG = 1009,
};

struct decoder {
    wslay_event_context_ptr context;
    const struct decoder_callbacks *callbacks;
    void *arg;
    const uint8_t *input;
    size_t input_len;
    uint64_t fed;      /* bytes handed to wslay, ever */
    uint64_t finished; /* bytes of all complete frames, ever */
    uint64_t frame_len;
    bool fragmented;     /* inside a fragmented message */
    bool too_fragmented; /* more fragments than allowed */
    uint64_t fragments;  /* of the current message, so far */
    uint64_t bytes;      /* in these */
    bool drop_replies;   /* what wslay sends is dropped */
    size_t pong_left;    /* bytes still to come of the pong that wslay is sending */
    uint16_t close_code;
};

static ssize_t take_input(wslay_event_context_ptr context, uint8_t *out, size_t len, int flags,
                          void *arg)
{
    (void)flags;
    struct decoder *decoder = arg;
    if (decoder->input_len == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t take = len < decoder->input_len ? len : decoder->input_len;
    memcpy(out, decoder->input, take);
    decoder->input += take;
    decoder->input_len -= take;
    decoder->fed += take;
    return (ssize_t)take;
}

/* wslay answers every ping by itself; whether one is answered is for others to decide (on_control).
 * It sends a frame in two parts: the head, whose second byte is the length (RFC 6455 section 5.2,
 * and control frames are short), then the payload. */
static bool drop_pong(struct decoder *decoder, const uint8_t *data, size_t len)
{
    bool begins = decoder->pong_left == 0;
    if (begins && (len < PONG_HEAD || (data[0] & 0x0f) != WSLAY_PONG))
        return false;
    if (begins)
        decoder->pong_left = PONG_HEAD + data[1];
    decoder->pong_left -= len < decoder->pong_left ? len : decoder->pong_left;
    return true;
}

static ssize_t send_reply(wslay_event_context_ptr context, const uint8_t *data, size_t len,
                          int flags, void *arg)
{
    (void)context;
    (void)flags;
    struct decoder *decoder = arg;
    if (!drop_pong(decoder, data, len) && !decoder->drop_replies)
        decoder->callbacks->on_send(decoder->arg, data, len);
    return (ssize_t)len;
}

/* wslay allocates a header for each fragment, and fragments may be empty: a message within its
 * length limit could take memory without end. */
static void count_fragment(struct decoder *decoder,
                           const struct wslay_event_on_frame_recv_start_arg *frame)
{
    if (frame->opcode != WSLAY_CONTINUATION_FRAME)
        decoder->fragments = decoder->bytes = 0;
    decoder->bytes += frame->payload_length;
    if (++decoder->fragments > SPARE_FRAGMENTS + decoder->bytes / FRAGMENT_BYTES)
        decoder->too_fragmented = true;
}

/* The header's length follows from the payload's (RFC 6455 section 5.2): wslay rejects lengths that
 * are not written in the shortest way, and frames without a mask. */
static void on_wslay_frame_start(wslay_event_context_ptr context,
                                 const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
    struct decoder *decoder = arg;
    uint64_t length_bytes = frame->payload_length <= 125      ? 0
                            : frame->payload_length <= 0xffff ? 2
                                                              : 8;
    decoder->frame_len = SHORTEST_FRAME + length_bytes + frame->payload_length;
    if (wslay_is_ctrl_frame(frame->opcode))
        return;
    decoder->fragmented = !frame->fin;
    count_fragment(decoder, frame);
    if (decoder->too_fragmented)
        wslay_event_shutdown_read(context);
}

static void on_wslay_frame_end(wslay_event_context_ptr context, void *arg)
{
    (void)context;
    struct decoder *decoder = arg;
    decoder->finished += decoder->frame_len;
}

static void on_wslay_message(wslay_event_context_ptr context,
                             const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
    (void)context;
    struct decoder *decoder = arg;
    const struct decoder_callbacks *callbacks = decoder->callbacks;
    if (message->opcode == WSLAY_CONNECTION_CLOSE && decoder->frame_len == SHORTEST_FRAME + 1) {
        return; /* half a code (RFC 6455 section 5.5.1): decoder_feed says that it is a violation */
    } else if (message->opcode == WSLAY_CONNECTION_CLOSE) {
        decoder->close_code =
            message->status_code == 0 ? WSLAY_CODE_NO_STATUS_RCVD : message->status_code;
        callbacks->on_close(decoder->arg, decoder->close_code);
    } else if (!wslay_is_ctrl_frame(message->opcode)) {
        callbacks->on_message(decoder->arg, message->opcode == WSLAY_TEXT_FRAME, message->msg,
                              message->msg_length);
    } else {
        callbacks->on_control(decoder->arg, message->opcode == WSLAY_PING, message->msg,
                              message->msg_length);
    }
}

struct decoder *decoder_new(const struct decoder_callbacks *callbacks, size_t max_message,
                            void *arg)
{
    static const struct wslay_event_callbacks wslay_callbacks = {
        .recv_callback = take_input,
        .send_callback = send_reply,
        .on_frame_recv_start_callback = on_wslay_frame_start,
        .on_frame_recv_end_callback = on_wslay_frame_end,
        .on_msg_recv_callback = on_wslay_message,
    };
    struct decoder *decoder = memory_new(sizeof *decoder);
    decoder->callbacks = callbacks;
    decoder->arg = arg;
    if (wslay_event_context_server_init(&decoder->context, &wslay_callbacks, decoder) != 0)
        abort(); /* out of memory */
    /* wslay would allocate whatever length a peer declares */
    if (max_message > 0)
        wslay_event_config_set_max_recv_msg_length(decoder->context, max_message);
    return decoder;
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    wslay_event_context_free(decoder->context);
    free(decoder);
}

enum decoder_result decoder_feed(struct decoder *decoder, const uint8_t *data, size_t len,
                                 uint16_t *code)
{
    wslay_event_context_ptr context = decoder->context;
    decoder->input = data;
    decoder->input_len = len;
    int error = wslay_event_recv(context);
    decoder->input_len = 0;
    if (decoder->too_fragmented) {
        *code = TOO_BIG;
        return DECODER_VIOLATED;
    }
    bool open = error == 0 && wslay_event_get_read_enabled(context);
    /* wslay answers a violation with a close frame, for some without a code: then the code is taken
     * from it, and the frame is left to the connection */
    decoder->drop_replies = !open && decoder->close_code == 0;
    if (wslay_event_want_write(context) && wslay_event_send(context) != 0)
        open = false;
    if (open)
        return DECODER_OPEN;
    if (!decoder->drop_replies) {
        *code = decoder->close_code;
        return DECODER_CLOSED;
    }
    *code = wslay_event_get_status_code_sent(context);
    if (*code < WSLAY_CODE_PROTOCOL_ERROR || *code == WSLAY_CODE_NO_STATUS_RCVD)
        *code = WSLAY_CODE_PROTOCOL_ERROR;
    return DECODER_VIOLATED;
}

bool decoder_is_idle(const struct decoder *decoder)
{
    return decoder->fed == decoder->finished && !decoder->fragmented &&
           wslay_event_get_read_enabled(decoder->context) &&
           !wslay_event_want_write(decoder->context);
}

const char *decoder_reason(uint16_t code)
{
    switch (code) {
    case 1007:
        return "text that is not UTF-8";
    case 1009:
        return "that message is too big, or in too many pieces";
    default:
        return "this breaks the WebSocket protocol";
    }
}
