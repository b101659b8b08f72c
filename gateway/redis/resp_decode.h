/* redis_reply: what Redis sends (RESP), read. hiredis parses; what it finds is kept in a form of
 * ours, which bounds it. The only user of hiredis. */
#ifndef YUKIZURI_REDIS_RESP_DECODE_H
#define YUKIZURI_REDIS_RESP_DECODE_H

#include "redis/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_reply;
struct redis_replies;

/* How long a reply may be. Longer ones are known as soon as they are announced, or so much of them
 * has come. */
struct redis_reply_limits {
    size_t bytes;        /* all of it, counted as it is kept here */
    size_t string_bytes; /* a string of it, about */
};

/* `on_error` is told of each error that Redis sends, also of those inside an array, from within
 * redis_replies_next, before the reply that it belongs to is complete. The text ends with a NUL. It
 * may not call these functions. It may be NULL. */
struct redis_replies *redis_replies_new(const struct redis_reply_limits *limits,
                                        void (*on_error)(void *arg, const char *text, size_t len),
                                        void *arg);

/* NULL is fine. */
void redis_replies_free(struct redis_replies *replies);

/* A new connection: forgets what is incomplete. The last reply stays. */
void redis_replies_begin(struct redis_replies *replies);

void redis_replies_feed(struct redis_replies *replies, const char *data, size_t len);

enum redis_replies_error {
    REDIS_REPLIES_BROKEN = -1, /* that was not RESP, or arrays in arrays deeper than hiredis goes */
    REDIS_REPLIES_TOO_LONG = -2,
    REDIS_REPLIES_NO_MEMORY = -3, /* to read on */
};

/* The next complete reply, or NULL when there is none yet: 0. An error is the end of this
 * connection: after it only redis_replies_begin helps. A reply lives until the next call. */
int redis_replies_next(struct redis_replies *replies, const struct redis_reply **reply);

/* A copy that lives until redis_reply_free; of no reply NULL, which that takes as well. */
struct redis_reply *redis_reply_copy(const struct redis_reply *reply);
void redis_reply_free(struct redis_reply *reply);

/* What the error means, a sentence (static). */
const char *redis_replies_why(int error);

/* A wrong type, or no reply at all, reads as 0, NULL or an empty array. */
bool redis_reply_is_error(const struct redis_reply *reply); /* so does no reply */
/* Is it an error that begins with the word? "WRONGTYPE": the key is of another type. */
bool redis_reply_has_error(const struct redis_reply *reply, const char *word);
/* What the error means; false, and `out` untouched, when it is none, or no reply at all. */
bool redis_reply_error(const struct redis_reply *reply, struct redis_error *out);
int64_t redis_reply_integer(const struct redis_reply *reply); /* also of a numeric string */

/* The same, where a room's number or a time in ms is due (base/number.h); anything else reads as 0.
 */
uint64_t redis_reply_number(const struct redis_reply *reply);

const char *redis_reply_string(const struct redis_reply *reply, size_t *len); /* also of errors */

/* A text that people are shown: "" unless it is UTF-8 of at most so many bytes, without a NUL. */
const char *redis_reply_text(const struct redis_reply *reply, size_t most);

/* Copies the value of a field in the text that INFO answers, cut to what fits; false, and `out`
 * untouched, when there is none. */
bool redis_info_field(const char *info, const char *name, char *out, size_t size);

size_t redis_reply_count(const struct redis_reply *reply);
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t index);

#endif
