#include "websocket/decoder.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "protocol/deflate.h"
#include "protocol/scan.h"
#include "websocket/frame_progress.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum {
    CONTROL_BYTES = 125,
    PONG_HEAD = 2,
    NOT_ITS_TYPE = 1007, /* close codes (RFC 6455 section 7.4.1) */
    TOO_BIG = 1009,
};

struct decoder {
    wslay_event_context_ptr context;
    const struct decoder_callbacks *callbacks;
    struct decoder_limits limits;
    void *arg;
    const uint8_t *input;
    size_t input_len;
    struct bytes *waiting; /* what may_go_on has held up */
    struct bytes *message; /* of the current one, so far; NULL while empty */
    struct frame_progress frame;
    uint64_t fragments; /* of the current message, the short ones so far */
    /* the payload of the current frame, as far as it has come, if it is a control frame */
    uint8_t control[CONTROL_BYTES];
    size_t control_len;
    bool fragmented;     /* inside a fragmented message */
    bool too_long;       /* the message is refused */
    bool too_fragmented; /* the message is refused */
    bool drop_replies;   /* what wslay sends is dropped */
    size_t pong_left;    /* bytes still to come of the pong that wslay is sending */
    uint16_t close_code;
    uint16_t bad_message; /* the close code for a compressed message that is none; 0: none was */
    struct inflater *inflater; /* NULL: messages may not be compressed */
};

static bool is_refused(const struct decoder *decoder)
{
    return decoder->too_long || decoder->too_fragmented || decoder->bad_message != 0;
}

/* --- What goes to wslay --- */

/* Moves input on; returns how many bytes. */
static size_t take(struct decoder *decoder, uint8_t *out, size_t len)
{
    len = len < decoder->input_len ? len : decoder->input_len;
    memcpy(out, decoder->input, len);
    decoder->input += len;
    decoder->input_len -= len;
    return len;
}

/* wslay checks the reason of a close frame for UTF-8 as if the whole payload came at once, so it
 * does. It has refused a control frame that is longer than it may be, or has no mask, by its first
 * bytes. Returns how many bytes wslay gets. */
static size_t take_control(struct decoder *decoder, uint8_t *out, size_t len)
{
    size_t whole = (size_t)frame_progress_announced_bytes(&decoder->frame);
    assert(whole <= CONTROL_BYTES && whole <= len);
    decoder->control_len +=
        take(decoder, decoder->control + decoder->control_len, whole - decoder->control_len);
    if (decoder->control_len < whole)
        return 0;
    memcpy(out, decoder->control, whole);
    decoder->control_len = 0;
    return whole;
}

static bool may_take(const struct decoder *decoder)
{
    const struct decoder_callbacks *callbacks = decoder->callbacks;
    return decoder->input_len > 0 && (decoder->frame.taken > 0 || callbacks->may_go_on == NULL ||
                                      callbacks->may_go_on(decoder->arg));
}

static ssize_t take_input(wslay_event_context_ptr context, uint8_t *out, size_t len, int flags,
                          void *arg)
{
    (void)flags;
    struct decoder *decoder = arg;
    uint64_t sure = frame_progress_sure_bytes(&decoder->frame);
    size_t got = 0;
    if (may_take(decoder))
        got = frame_progress_announces_control(&decoder->frame)
                  ? take_control(decoder, out, len)
                  : take(decoder, out, len < sure ? len : (size_t)sure);
    if (got == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    frame_progress_take(&decoder->frame, out, got);
    return (ssize_t)got;
}

/* --- What comes from wslay --- */

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

static void count_fragment(struct decoder *decoder, bool is_first, uint64_t len)
{
    uint64_t most = decoder->limits.fragments;
    decoder->fragments = (is_first ? 0 : decoder->fragments) + (len < DECODER_SHORT_FRAGMENT);
    decoder->too_fragmented = most > 0 && decoder->fragments > most;
}

/* wslay judges the length of each frame, but not before a byte of its payload has come, and does
 * not sum up what it does not keep. */
static void judge_length(struct decoder *decoder, uint64_t more)
{
    uint64_t most = decoder->limits.message_bytes;
    decoder->too_long = most > 0 && bytes_len(decoder->message) + more > most;
}

static void on_wslay_frame_start(wslay_event_context_ptr context,
                                 const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
    struct decoder *decoder = arg;
    bool is_control = wslay_is_ctrl_frame(frame->opcode);
    frame_progress_begin(&decoder->frame, is_control, frame->payload_length);
    if (is_control)
        return;
    decoder->fragmented = !frame->fin;
    count_fragment(decoder, frame->opcode != WSLAY_CONTINUATION_FRAME, frame->payload_length);
    judge_length(decoder, frame->payload_length);
    if (is_refused(decoder))
        wslay_event_shutdown_read(context);
}

static void on_wslay_chunk(wslay_event_context_ptr context,
                           const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
    (void)context;
    struct decoder *decoder = arg;
    if (!decoder->frame.is_control && !is_refused(decoder))
        bytes_add(&decoder->message, chunk->data, chunk->data_length);
}

static void on_wslay_frame_end(wslay_event_context_ptr context, void *arg)
{
    (void)context;
    struct decoder *decoder = arg;
    frame_progress_end(&decoder->frame);
}

/* wslay judges the text of messages that are not compressed. Returns a close code, or 0. */
static uint16_t inflate_message(const struct decoder *decoder, bool text, const uint8_t **data,
                                size_t *len)
{
    int error = inflater_run(decoder->inflater, *data, *len, data, len);
    if (error == INFLATER_TOO_BIG)
        return TOO_BIG;
    return error != 0 || (text && !scan_is_utf8((const char *)*data, *len)) ? NOT_ITS_TYPE : 0;
}

static void give_message(struct decoder *decoder, bool text, bool deflated)
{
    struct bytes *message = decoder->message;
    const uint8_t *data = message == NULL ? (const uint8_t *)"" : message->data;
    size_t len = bytes_len(message);
    if (is_refused(decoder))
        return;
    if (deflated)
        decoder->bad_message = inflate_message(decoder, text, &data, &len);
    if (is_refused(decoder))
        wslay_event_shutdown_read(decoder->context);
    else
        decoder->callbacks->on_message(decoder->arg, text, data, len);
    free(message);
    decoder->message = NULL;
}

static void on_wslay_message(wslay_event_context_ptr context,
                             const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
    (void)context;
    struct decoder *decoder = arg;
    const struct decoder_callbacks *callbacks = decoder->callbacks;
    if (message->opcode == WSLAY_CONNECTION_CLOSE &&
        decoder->frame.len == FRAME_PROGRESS_SHORTEST + 1)
        return; /* half a code (RFC 6455 section 5.5.1): decoder_feed says that it is a violation */
    if (message->opcode == WSLAY_CONNECTION_CLOSE) {
        decoder->close_code =
            message->status_code == 0 ? WSLAY_CODE_NO_STATUS_RCVD : message->status_code;
        callbacks->on_close(decoder->arg, decoder->close_code);
    } else if (!wslay_is_ctrl_frame(message->opcode)) {
        give_message(decoder, message->opcode == WSLAY_TEXT_FRAME, wslay_get_rsv1(message->rsv));
    } else {
        callbacks->on_control(decoder->arg, message->opcode == WSLAY_PING, message->msg,
                              message->msg_length);
    }
}

/* --- All of it --- */

struct decoder *decoder_new(const struct decoder_callbacks *callbacks,
                            const struct decoder_limits *limits, void *arg)
{
    static const struct wslay_event_callbacks wslay_callbacks = {
        .recv_callback = take_input,
        .send_callback = send_reply,
        .on_frame_recv_start_callback = on_wslay_frame_start,
        .on_frame_recv_chunk_callback = on_wslay_chunk,
        .on_frame_recv_end_callback = on_wslay_frame_end,
        .on_msg_recv_callback = on_wslay_message,
    };
    struct decoder *decoder = memory_new(sizeof *decoder);
    decoder->callbacks = callbacks;
    decoder->limits = *limits;
    decoder->arg = arg;
    if (wslay_event_context_server_init(&decoder->context, &wslay_callbacks, decoder) != 0)
        memory_run_out();
    /* wslay would allocate whatever length a peer declares, and something for each fragment */
    wslay_event_config_set_no_buffering(decoder->context, 1);
    if (limits->message_bytes > 0)
        wslay_event_config_set_max_recv_msg_length(decoder->context, limits->message_bytes);
    return decoder;
}

void decoder_set_inflater(struct decoder *decoder, struct inflater *inflater)
{
    decoder->inflater = inflater;
    wslay_event_config_set_allowed_rsv_bits(decoder->context, WSLAY_RSV1_BIT);
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    wslay_event_context_free(decoder->context);
    free(decoder->message);
    free(decoder->waiting);
    free(decoder);
}

/* wslay returns whenever it gets less than it asks for. What it takes memory for is small, and when
 * there is none it forgets what it has already taken. */
static int run_wslay(struct decoder *decoder)
{
    size_t before;
    int error;
    do {
        before = decoder->input_len;
        error = wslay_event_recv(decoder->context);
    } while (error == 0 && decoder->input_len < before &&
             wslay_event_get_read_enabled(decoder->context));
    if (error == WSLAY_ERR_NOMEM)
        memory_run_out();
    return error;
}

/* Decodes what there is, and keeps what may not be decoded yet. Returns an error of wslay. */
static int run(struct decoder *decoder, const uint8_t *data, size_t len)
{
    bool waited = decoder->waiting != NULL;
    if (waited) {
        bytes_add(&decoder->waiting, data, len);
        data = decoder->waiting->data;
        len = decoder->waiting->len;
    }
    decoder->input = data;
    decoder->input_len = len;
    int error = run_wslay(decoder);
    if (waited)
        bytes_drop(&decoder->waiting, len - decoder->input_len);
    else if (error == 0 && wslay_event_get_read_enabled(decoder->context))
        bytes_add(&decoder->waiting, decoder->input, decoder->input_len);
    decoder->input_len = 0;
    return error;
}

enum decoder_result decoder_feed(struct decoder *decoder, const uint8_t *data, size_t len,
                                 uint16_t *code)
{
    wslay_event_context_ptr context = decoder->context;
    int error = run(decoder, data, len);
    bool open = error == 0 && wslay_event_get_read_enabled(context);
    if (open && frame_progress_is_announced(&decoder->frame) &&
        !frame_progress_announces_control(&decoder->frame))
        judge_length(decoder, frame_progress_announced_bytes(&decoder->frame));
    if (is_refused(decoder)) {
        *code = decoder->bad_message != 0 ? decoder->bad_message : TOO_BIG;
        return DECODER_VIOLATED;
    }
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

bool decoder_has_waiting(const struct decoder *decoder)
{
    return decoder->waiting != NULL;
}

bool decoder_is_too_fragmented(const struct decoder *decoder)
{
    return decoder->too_fragmented;
}

bool decoder_is_idle(const struct decoder *decoder)
{
    return decoder->frame.taken == 0 && !decoder->fragmented && decoder->waiting == NULL &&
           wslay_event_get_read_enabled(decoder->context) &&
           !wslay_event_want_write(decoder->context);
}

const char *decoder_reason(uint16_t code)
{
    switch (code) {
    case 1007:
        return "text that is not UTF-8, or a compressed message that is broken";
    case 1009:
        return "that message is too big, or in too many pieces";
    default:
        return "this breaks the WebSocket protocol";
    }
}
