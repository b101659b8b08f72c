#include "server_frames.h"

#include "fuzz.h"
#include "protocol/deflate.h"
#include "protocol/scan.h"

enum { CODE_BYTES = 2 /* of a close frame (section 5.5.1) */ };

struct header {
    uint8_t first;
    size_t header_len;
    uint64_t payload_len;
};

/* False: it is not all there. */
static bool read_header(const struct server_frames *frames, struct header *out)
{
    const uint8_t *data = frames->data;
    if (frames->len < 2)
        return false;
    must((data[1] & 0x80) == 0, "a server does not mask");
    size_t length_bytes = data[1] == 126 ? 2 : data[1] == 127 ? 8 : 0;
    uint64_t length = length_bytes > 0 ? 0 : data[1];
    if (frames->len < 2 + length_bytes)
        return false;
    for (size_t i = 0; i < length_bytes; i++)
        length = length << 8 | data[2 + i];
    must(length_bytes != 2 || length > 125, "a length is written in the shortest way");
    must(length_bytes != 8 || length > 0xffff, "a length is written in the shortest way");
    *out = (struct header){data[0], 2 + length_bytes, length};
    return true;
}

static void judge(const struct server_frames *frames, const struct header *header)
{
    unsigned opcode = header->first & 0x0fu;
    bool control = opcode >= FRAME_CLOSE;
    must((header->first & 0x80) != 0, "a frame is a whole message");
    must((header->first & 0x30) == 0, "no bit is reserved for nothing");
    must((header->first & FRAME_DEFLATED) == 0 || (frames->inflater != NULL && !control),
         "what is compressed is data, where that was negotiated");
    must(opcode == FRAME_TEXT || opcode == FRAME_BINARY || (control && opcode <= FRAME_PONG),
         "an opcode that is one");
    must(!control || header->payload_len <= FRAME_CONTROL_BYTES, "a control frame is short");
    must(!frames->closed, "nothing follows a close frame");
}

static void judge_close(const struct server_frame *frame)
{
    if (frame->len == 0)
        return;
    must(frame->len >= CODE_BYTES, "a close code is whole");
    unsigned code = (unsigned)frame->payload[0] << 8 | frame->payload[1];
    must(code >= 1000 && code < 5000 && code != 1004 && code != 1005 && code != 1006,
         "a close code that may be sent");
    must(scan_is_utf8((const char *)frame->payload + CODE_BYTES, frame->len - CODE_BYTES),
         "a reason is UTF-8");
}

bool server_frames_next(struct server_frames *frames, struct server_frame *out)
{
    struct header header;
    if (!read_header(frames, &header))
        return false;
    judge(frames, &header);
    if (frames->len - header.header_len < header.payload_len)
        return false;
    *out = (struct server_frame){header.first & 0x0fu, frames->data + header.header_len,
                                 (size_t)header.payload_len};
    frames->data += header.header_len + out->len;
    frames->len -= header.header_len + out->len;
    if ((header.first & FRAME_DEFLATED) != 0)
        must(inflater_run(frames->inflater, out->payload, out->len, &out->payload, &out->len) == 0,
             "what is compressed can be inflated");
    must(out->opcode != FRAME_TEXT || scan_is_utf8((const char *)out->payload, out->len),
         "text is UTF-8");
    frames->closed = out->opcode == FRAME_CLOSE;
    if (frames->closed)
        judge_close(out);
    return true;
}
