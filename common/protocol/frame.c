#include "protocol/frame.h"

#include "base/memory.h"
#include "protocol/deflate.h"

#include <stdlib.h>
#include <string.h>

size_t frame_write_header(uint8_t out[FRAME_HEADER_BYTES], enum frame_opcode opcode, size_t len)
{
    out[0] = (uint8_t)(0x80 | opcode);
    if (len <= 125) {
        out[1] = (uint8_t)len;
        return 2;
    }
    if (len <= 0xffff) {
        out[1] = 126;
        out[2] = (uint8_t)(len >> 8);
        out[3] = (uint8_t)len;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    return 10;
}

size_t frame_whole_len(const uint8_t *data, size_t len)
{
    size_t more = len < 2 ? 0 : data[1] == 126 ? 2 : data[1] == 127 ? 8 : 0;
    size_t payload = len < 2 ? 0 : data[1];
    if (len < 2 + more)
        return len;
    if (more > 0)
        payload = 0;
    for (size_t i = 0; i < more; i++)
        payload = payload << 8 | data[2 + i];
    return 2 + more + payload;
}

static struct frame *new_frame(enum frame_opcode opcode, const void *payload, size_t len)
{
    uint8_t header[FRAME_HEADER_BYTES];
    size_t header_len = frame_write_header(header, opcode, len);
    struct frame *frame = memory_new(sizeof *frame + header_len + len);
    frame->len = header_len + len;
    memcpy(frame->bytes, header, header_len);
    memcpy(frame->bytes + header_len, payload, len);
    return frame;
}

struct frame *frame_new_text(const char *payload, size_t len)
{
    return new_frame(FRAME_TEXT, payload, len);
}

void frame_free(struct frame *frame)
{
    if (frame->deflated != frame)
        free(frame->deflated);
    free(frame);
}

static size_t header_len_of(const struct frame *frame)
{
    return frame->bytes[1] <= 125 ? 2 : frame->bytes[1] == 126 ? 4 : 10;
}

const struct frame *frame_deflated(struct frame *frame, struct deflater *deflater)
{
    if (frame->deflated != NULL)
        return frame->deflated;
    size_t header_len = header_len_of(frame);
    size_t len = 0;
    const uint8_t *payload =
        deflater_run(deflater, frame->bytes + header_len, frame->len - header_len, &len);
    frame->deflated =
        payload == NULL ? frame : new_frame(FRAME_TEXT | FRAME_DEFLATED, payload, len);
    return frame->deflated;
}

size_t frame_write_close(uint8_t out[FRAME_CONTROL_BYTES], uint16_t code, const char *reason)
{
    size_t len = strlen(reason);
    size_t most = FRAME_CONTROL_BYTES - 2;
    if (len > most) {
        len = most;
        while (len > 0 && ((uint8_t)reason[len] & 0xc0) == 0x80)
            len--;
    }
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    memcpy(out + 2, reason, len);
    return len + 2;
}
