#include "websocket/private_bytes.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "protocol/frame.h"

#include <assert.h>
#include <stdlib.h>

struct private_bytes {
    struct bytes *control;
    struct bytes *frames;
    size_t gone;  /* of `frames`: went out, and is not dropped yet */
    size_t begun; /* of `frames`, after those: no frame may interrupt them */
};

static size_t total; /* of all: what private_bytes_len says of each */

static size_t count_frames(const struct private_bytes *waiting)
{
    return bytes_len(waiting->frames) - waiting->gone;
}

size_t private_bytes_len(const struct private_bytes *waiting)
{
    return waiting == NULL ? 0 : bytes_len(waiting->control) + count_frames(waiting);
}

static struct private_bytes *make(struct private_bytes **waiting)
{
    if (*waiting == NULL)
        *waiting = memory_new(sizeof **waiting);
    return *waiting;
}

void private_bytes_add(struct private_bytes **waiting, const void *data, size_t len)
{
    if (len > 0)
        bytes_add(&make(waiting)->frames, data, len);
    total += len;
}

void private_bytes_add_control(struct private_bytes **waiting, const void *data, size_t len)
{
    if (len > 0)
        bytes_add(&make(waiting)->control, data, len);
    total += len;
}

/* Dropping moves all that stay: done once for so many that each byte moves once on average. */
static void drop_gone(struct private_bytes *waiting)
{
    bytes_drop(&waiting->frames, waiting->gone);
    waiting->gone = 0;
}

void private_bytes_add_first(struct private_bytes **waiting, const void *data, size_t len)
{
    if (len == 0)
        return;
    drop_gone(make(waiting));
    bytes_add_first(&(*waiting)->frames, data, len);
    (*waiting)->begun += len;
    total += len;
}

static int gather_part(struct iovec out[], int count, uint8_t *data, size_t len)
{
    if (len > 0)
        out[count++] = (struct iovec){data, len};
    return count;
}

int private_bytes_gather(struct private_bytes *waiting, struct iovec out[PRIVATE_BYTES_PARTS])
{
    int count = 0;
    if (waiting == NULL)
        return 0;
    uint8_t *frames = waiting->frames == NULL ? NULL : waiting->frames->data + waiting->gone;
    count = gather_part(out, count, frames, waiting->begun);
    if (waiting->control != NULL)
        count = gather_part(out, count, waiting->control->data, waiting->control->len);
    if (count_frames(waiting) > waiting->begun)
        count = gather_part(out, count, frames + waiting->begun,
                            count_frames(waiting) - waiting->begun);
    return count;
}

/* The frame that the last of these bytes is in, the first byte being the first of a frame, may be
 * sent in part: then the rest of it has begun. */
static void drop_frames(struct private_bytes *waiting, size_t len)
{
    size_t end = waiting->begun;
    while (end < len) {
        const uint8_t *at = waiting->frames->data + waiting->gone + end;
        end += frame_whole_len(at, count_frames(waiting) - end);
    }
    waiting->begun = end - len;
    waiting->gone += len;
    if (waiting->gone >= bytes_len(waiting->frames) / 2)
        drop_gone(waiting);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void private_bytes_drop(struct private_bytes **waiting, size_t len)
{
    struct private_bytes *all = *waiting;
    if (len == 0)
        return;
    assert(len <= private_bytes_len(all));
    total -= len;
    size_t first = least(len, all->begun);
    size_t control = least(len - first, bytes_len(all->control));
    if (first > 0)
        drop_frames(all, first);
    bytes_drop(&all->control, control);
    if (len > first + control)
        drop_frames(all, len - first - control);
    if (private_bytes_len(all) > 0)
        return;
    private_bytes_free(all);
    *waiting = NULL;
}

void private_bytes_free(struct private_bytes *waiting)
{
    if (waiting == NULL)
        return;
    total -= private_bytes_len(waiting);
    free(waiting->control);
    free(waiting->frames);
    free(waiting);
}

size_t private_bytes_total(void)
{
    return total;
}
