#include "websocket/decoder.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum {
    SPARE_READERS = 4,
    SHORTEST_FRAME = 6, /* two bytes and the mask */
    PONG_HEAD = 2,
    SPARE_PIECES = 64, /* of a message, however small they are; more when they have, on average, */
    PIECE_BYTES = 16,
    TOO_BIG = 1009,
};

struct reader {
    wslay_event_context_ptr context;
    struct readers *pool;
    void *arg;
    const uint8_t *input;
    size_t input_len;
    uint64_t fed;      /* bytes handed to wslay, ever */
    uint64_t finished; /* bytes of all complete frames, ever */
    uint64_t frame_len;
    bool fragmented;  /* inside a fragmented message */
    bool shattered;   /* into more pieces than may be */
    uint64_t pieces;  /* of the present message, so far */
    uint64_t bytes;   /* in these */
    bool mute;        /* what wslay sends is dropped */
    size_t pong_left; /* bytes still to come of the pong that wslay is sending */
    uint16_t close_code;
};

struct readers {
    struct reader_callbacks callbacks;
    size_t max_message;
    struct reader *spare[SPARE_READERS];
    size_t spare_count;
};

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *out, size_t len, int flags,
                       void *arg)
{
    (void)flags;
    struct reader *reader = arg;
    if (reader->input_len == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t take = len < reader->input_len ? len : reader->input_len;
    memcpy(out, reader->input, take);
    reader->input += take;
    reader->input_len -= take;
    reader->fed += take;
    return (ssize_t)take;
}

/* wslay answers every ping by itself; whether one is answered is for others to decide (on_control).
 * It sends a frame in two pieces: the head, whose second byte is the length (RFC 6455 section 5.2,
 * and control frames are short), then the payload. */
static bool drop_pong(struct reader *reader, const uint8_t *data, size_t len)
{
    bool begins = reader->pong_left == 0;
    if (begins && (len < PONG_HEAD || (data[0] & 0x0f) != WSLAY_PONG))
        return false;
    if (begins)
        reader->pong_left = PONG_HEAD + data[1];
    reader->pong_left -= len < reader->pong_left ? len : reader->pong_left;
    return true;
}

static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *data, size_t len, int flags,
                       void *arg)
{
    (void)context;
    (void)flags;
    struct reader *reader = arg;
    if (!drop_pong(reader, data, len) && !reader->mute)
        reader->pool->callbacks.on_send(reader->arg, data, len);
    return (ssize_t)len;
}

/* wslay keeps each piece with a head of its own, and pieces may be empty: they would be endless,
 * and no message that anybody counts. */
static void count_piece(struct reader *reader,
                        const struct wslay_event_on_frame_recv_start_arg *frame)
{
    if (frame->opcode != WSLAY_CONTINUATION_FRAME)
        reader->pieces = reader->bytes = 0;
    reader->bytes += frame->payload_length;
    if (++reader->pieces > SPARE_PIECES + reader->bytes / PIECE_BYTES)
        reader->shattered = true;
}

/* The header's length follows from the payload's (RFC 6455 section 5.2): wslay rejects lengths that
 * are not written in the shortest way, and frames without a mask. */
static void on_frame_start(wslay_event_context_ptr context,
                           const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
    struct reader *reader = arg;
    uint64_t length_bytes = frame->payload_length <= 125      ? 0
                            : frame->payload_length <= 0xffff ? 2
                                                              : 8;
    reader->frame_len = SHORTEST_FRAME + length_bytes + frame->payload_length;
    if (wslay_is_ctrl_frame(frame->opcode))
        return;
    reader->fragmented = !frame->fin;
    count_piece(reader, frame);
    if (reader->shattered)
        wslay_event_shutdown_read(context);
}

static void on_frame_end(wslay_event_context_ptr context, void *arg)
{
    (void)context;
    struct reader *reader = arg;
    reader->finished += reader->frame_len;
}

static void on_message(wslay_event_context_ptr context,
                       const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
    (void)context;
    struct reader *reader = arg;
    const struct reader_callbacks *callbacks = &reader->pool->callbacks;
    if (message->opcode == WSLAY_CONNECTION_CLOSE && reader->frame_len == SHORTEST_FRAME + 1) {
        return; /* half a code (RFC 6455 section 5.5.1): reader_feed tells that it is a violation */
    } else if (message->opcode == WSLAY_CONNECTION_CLOSE) {
        reader->close_code =
            message->status_code == 0 ? WSLAY_CODE_NO_STATUS_RCVD : message->status_code;
        callbacks->on_close(reader->arg, reader->close_code);
    } else if (!wslay_is_ctrl_frame(message->opcode)) {
        callbacks->on_message(reader->arg, message->opcode == WSLAY_TEXT_FRAME, message->msg,
                              message->msg_length);
    } else {
        callbacks->on_control(reader->arg, message->opcode == WSLAY_PING, message->msg,
                              message->msg_length);
    }
}

struct readers *readers_new(const struct reader_callbacks *callbacks, size_t max_message)
{
    struct readers *pool = memory_new(sizeof *pool);
    pool->callbacks = *callbacks;
    pool->max_message = max_message;
    return pool;
}

static void free_reader(struct reader *reader)
{
    wslay_event_context_free(reader->context);
    free(reader);
}

void readers_free(struct readers *pool)
{
    if (pool == NULL)
        return;
    while (pool->spare_count > 0)
        free_reader(pool->spare[--pool->spare_count]);
    free(pool);
}

static struct reader *new_reader(struct readers *pool)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame_start,
        .on_frame_recv_end_callback = on_frame_end,
        .on_msg_recv_callback = on_message,
    };
    struct reader *reader = memory_new(sizeof *reader);
    reader->pool = pool;
    if (wslay_event_context_server_init(&reader->context, &callbacks, reader) != 0)
        abort(); /* out of memory */
    /* wslay would allocate whatever length a peer declares */
    if (pool->max_message > 0)
        wslay_event_config_set_max_recv_msg_length(reader->context, pool->max_message);
    return reader;
}

struct reader *reader_take(struct readers *pool, void *arg)
{
    struct reader *reader =
        pool->spare_count > 0 ? pool->spare[--pool->spare_count] : new_reader(pool);
    reader->arg = arg;
    return reader;
}

void reader_give(struct readers *pool, struct reader *reader)
{
    reader->arg = NULL;
    if (reader_is_idle(reader) && pool->spare_count < SPARE_READERS)
        pool->spare[pool->spare_count++] = reader;
    else
        free_reader(reader);
}

enum reader_result reader_feed(struct reader *reader, const uint8_t *data, size_t len,
                               uint16_t *code)
{
    wslay_event_context_ptr context = reader->context;
    reader->input = data;
    reader->input_len = len;
    int error = wslay_event_recv(context);
    reader->input_len = 0;
    if (reader->shattered) {
        *code = TOO_BIG;
        return READER_VIOLATED;
    }
    bool open = error == 0 && wslay_event_get_read_enabled(context);
    /* wslay answers a violation with a close frame, for some without a code: then the code is taken
     * from it, and the frame is left to the connection */
    reader->mute = !open && reader->close_code == 0;
    if (wslay_event_want_write(context) && wslay_event_send(context) != 0)
        open = false;
    if (open)
        return READER_OPEN;
    if (!reader->mute) {
        *code = reader->close_code;
        return READER_CLOSED;
    }
    *code = wslay_event_get_status_code_sent(context);
    if (*code < WSLAY_CODE_PROTOCOL_ERROR || *code == WSLAY_CODE_NO_STATUS_RCVD)
        *code = WSLAY_CODE_PROTOCOL_ERROR;
    return READER_VIOLATED;
}

bool reader_is_idle(const struct reader *reader)
{
    return reader->fed == reader->finished && !reader->fragmented &&
           wslay_event_get_read_enabled(reader->context) &&
           !wslay_event_want_write(reader->context);
}

const char *reader_reason(uint16_t code)
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
