/* Replies in pieces: the same bytes, however they are cut, give the same replies, the same errors
 * and the same end. */
#include "fuzz.h"
#include "redis/resp_decode.h"

enum { MOST_BYTES = 1500, MOST_DEPTH = 20 };

static void describe(struct text *out, const struct redis_reply *reply, int depth)
{
    size_t len;
    const char *string = redis_reply_string(reply, &len);
    text_print(out, "(%d %zu %lld ", (int)redis_reply_is_error(reply), len,
               (long long)redis_reply_integer(reply));
    if (string != NULL) {
        must(string[len] == '\0', "a NUL behind the string");
        text_add(out, string, len);
    }
    must(depth < MOST_DEPTH, "arrays in arrays are bounded");
    for (size_t i = 0; i < redis_reply_count(reply); i++)
        describe(out, redis_reply_at(reply, i), depth + 1);
    text_add_string(out, ")");
}

static void on_error(void *arg, const char *data, size_t len)
{
    struct text *out = arg;
    text_add_string(out, "error ");
    text_add(out, data, len);
}

/* Takes all that is complete; the last result. */
static int take(struct redis_replies *replies, struct text *out)
{
    const struct redis_reply *reply;
    int error;
    while ((error = redis_replies_next(replies, &reply)) == 0 && reply != NULL)
        describe(out, reply, 0);
    return error;
}

static int read_in_pieces(const uint8_t *data, size_t len, size_t piece, struct text *out)
{
    struct redis_replies *replies = redis_replies_new(
        &(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, on_error, out);
    int error = 0;
    for (size_t at = 0; at < len && error == 0; at += piece) {
        redis_replies_feed(replies, (const char *)data + at, len - at < piece ? len - at : piece);
        error = take(replies, out);
    }
    redis_replies_free(replies);
    return error;
}

/* The first byte says how long the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct text whole = TEXT_EMPTY;
    struct text pieces = TEXT_EMPTY;
    if (len < 2)
        return 0;
    int error = read_in_pieces(data + 1, len - 1, len, &whole);
    must(read_in_pieces(data + 1, len - 1, 1 + data[0] % 64, &pieces) == error, "the same end");
    must(whole.len == pieces.len &&
             (whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0),
         "the same replies");
    text_done(&whole);
    text_done(&pieces);
    return 0;
}
