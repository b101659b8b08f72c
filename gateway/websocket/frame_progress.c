#include "websocket/frame_progress.h"

enum { CONTROL_BIT = 8 /* of the opcode */ };

/* How many bytes the length has beside the one in the second byte. */
static size_t count_length_bytes(const struct frame_progress *frame)
{
    uint8_t first = frame->header[1] & 0x7f;
    return first == 126 ? 2 : first == 127 ? 8 : 0;
}

static bool has_whole_header(const struct frame_progress *frame)
{
    return frame->taken >= FRAME_PROGRESS_SHORTEST &&
           frame->taken >= FRAME_PROGRESS_SHORTEST + count_length_bytes(frame);
}

void frame_progress_take(struct frame_progress *frame, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len && frame->taken + i < FRAME_PROGRESS_LENGTH_END; i++)
        frame->header[frame->taken + i] = data[i];
    frame->taken += len;
}

/* The header's length follows from the payload's: wslay rejects lengths that are not written in the
 * shortest way, and frames without a mask. */
void frame_progress_begin(struct frame_progress *frame, bool is_control, uint64_t payload_len)
{
    uint64_t length_bytes = payload_len <= 125 ? 0 : payload_len <= 0xffff ? 2 : 8;
    frame->len = FRAME_PROGRESS_SHORTEST + length_bytes + payload_len;
    frame->is_begun = true;
    frame->is_control = is_control;
}

void frame_progress_end(struct frame_progress *frame)
{
    frame->taken -= frame->len;
    frame->is_begun = false;
}

/* As wslay tells of a frame without a payload when its header is complete, another one has a byte
 * after it at least. */
uint64_t frame_progress_sure_bytes(const struct frame_progress *frame)
{
    uint64_t taken = frame->taken;
    if (frame->is_begun)
        return frame->len - taken;
    if (taken < FRAME_PROGRESS_SHORTEST)
        return FRAME_PROGRESS_SHORTEST - taken;
    return has_whole_header(frame) ? 1
                                   : FRAME_PROGRESS_SHORTEST + count_length_bytes(frame) - taken;
}

bool frame_progress_is_announced(const struct frame_progress *frame)
{
    return !frame->is_begun && has_whole_header(frame);
}

uint64_t frame_progress_announced_bytes(const struct frame_progress *frame)
{
    size_t bytes = count_length_bytes(frame);
    uint64_t length = bytes > 0 ? 0 : frame->header[1] & 0x7f;
    for (size_t i = 0; i < bytes; i++)
        length = length << 8 | frame->header[2 + i];
    return length;
}

bool frame_progress_announces_control(const struct frame_progress *frame)
{
    return frame_progress_is_announced(frame) && (frame->header[0] & CONTROL_BIT) != 0;
}
