#include "redis/resp_decode.h"

#include "base/memory.h"
#include "base/number.h"
#include "protocol/scan.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_reply {
    int type; /* REDIS_REPLY_… */
    size_t count;
    union {
        int64_t integer;
        char *string; /* `count` bytes and a NUL */
        struct redis_reply **elements;
    };
};

struct redis_replies {
    redisReader *reader;
    struct redis_reply_limits limits;
    struct redis_reply *last; /* which has been handed out */
    size_t taken_bytes;       /* by the reply that is being read */
    bool too_long;            /* the same reply */
    void (*on_error)(void *arg, const char *text, size_t len);
    void *arg;
};

/* --- What hiredis calls --- */

/* One more, at its place in the array that it belongs to. NULL, which hiredis takes for the end of
 * memory, when the whole reply would be too long: an array of two thousand million elements is
 * announced in a dozen bytes. */
static struct redis_reply *add_reply(const redisReadTask *task, size_t more)
{
    struct redis_replies *replies = task->privdata;
    size_t size = sizeof(struct redis_reply) + more;
    replies->too_long = size > replies->limits.bytes - replies->taken_bytes;
    if (replies->too_long)
        return NULL;
    replies->taken_bytes += size;
    struct redis_reply *reply = memory_new(size);
    reply->type = task->type;
    if (task->parent != NULL) {
        struct redis_reply *array = task->parent->obj;
        array->elements[task->idx] = reply;
    }
    return reply;
}

static void *add_string(const redisReadTask *task, char *data, size_t len)
{
    struct redis_reply *reply = add_reply(task, len + 1);
    if (reply == NULL)
        return NULL;
    reply->string = (char *)(reply + 1);
    reply->count = len;
    memcpy(reply->string, data, len);
    const struct redis_replies *replies = task->privdata;
    if (task->type == REDIS_REPLY_ERROR && replies->on_error != NULL)
        replies->on_error(replies->arg, reply->string, len);
    return reply;
}

#if HIREDIS_MAJOR >= 1
static void *add_array(const redisReadTask *task, size_t count)
#else
static void *add_array(const redisReadTask *task, int count)
#endif
{
    const struct redis_replies *replies = task->privdata;
    size_t most = replies->limits.bytes / sizeof(struct redis_reply *);
    size_t bytes = ((size_t)count > most ? most + 1 : (size_t)count) * sizeof(struct redis_reply *);
    struct redis_reply *reply = add_reply(task, bytes);
    if (reply == NULL)
        return NULL;
    reply->type = REDIS_REPLY_ARRAY; /* maps, sets and pushes of RESP3 are never asked for */
    reply->elements = (struct redis_reply **)(void *)(reply + 1);
    reply->count = (size_t)count;
    return reply;
}

static void *add_integer(const redisReadTask *task, long long number)
{
    struct redis_reply *reply = add_reply(task, 0);
    if (reply != NULL)
        reply->integer = number;
    return reply;
}

static void *add_nil(const redisReadTask *task)
{
    struct redis_reply *reply = add_reply(task, 0);
    if (reply != NULL)
        reply->type = REDIS_REPLY_NIL; /* the task's is that of what might have been there */
    return reply;
}

#if HIREDIS_MAJOR >= 1
/* RESP3, which is never asked for. Without these two hiredis would hand out a number for a pointer.
 */
static void *add_double(const redisReadTask *task, double number, char *text, size_t len)
{
    (void)number;
    return add_string(task, text, len);
}

static void *add_bool(const redisReadTask *task, int good)
{
    return add_integer(task, good);
}
#endif

/* Of what is read in part, elements are still missing. */
static void free_reply(void *freed)
{
    struct redis_reply *reply = freed;
    if (reply == NULL)
        return;
    for (size_t i = 0; i < redis_reply_count(reply); i++)
        free_reply(reply->elements[i]);
    free(reply);
}

struct redis_reply *redis_reply_copy(const struct redis_reply *reply)
{
    if (reply == NULL)
        return NULL;
    size_t count = redis_reply_count(reply);
    size_t len;
    const char *string = redis_reply_string(reply, &len);
    size_t more = string != NULL ? len + 1 : count * sizeof(struct redis_reply *);
    struct redis_reply *copy = memory_new(sizeof *copy + more);
    *copy = *reply;
    if (string != NULL) {
        copy->string = (char *)(copy + 1);
        memcpy(copy->string, string, len + 1);
    } else if (reply->type == REDIS_REPLY_ARRAY) {
        copy->elements = (struct redis_reply **)(void *)(copy + 1);
        for (size_t i = 0; i < count; i++)
            copy->elements[i] = redis_reply_copy(reply->elements[i]);
    }
    return copy;
}

void redis_reply_free(struct redis_reply *reply)
{
    free_reply(reply);
}

/* --- Reading --- */

static redisReader *new_reader(struct redis_replies *replies)
{
    static redisReplyObjectFunctions functions = {
        .createString = add_string,
        .createArray = add_array,
        .createInteger = add_integer,
        .createNil = add_nil,
#if HIREDIS_MAJOR >= 1
        .createDouble = add_double,
        .createBool = add_bool,
#endif
        .freeObject = free_reply,
    };
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    if (reader == NULL)
        memory_run_out();
    /* cppcheck-suppress nullPointerRedundantCheck ; memory_run_out does not return */
    reader->privdata = replies;
    return reader;
}

struct redis_replies *redis_replies_new(const struct redis_reply_limits *limits,
                                        void (*on_error)(void *arg, const char *text, size_t len),
                                        void *arg)
{
    struct redis_replies *replies = memory_new(sizeof *replies);
    replies->limits = *limits;
    replies->on_error = on_error;
    replies->arg = arg;
    replies->reader = new_reader(replies);
    return replies;
}

void redis_replies_free(struct redis_replies *replies)
{
    if (replies == NULL)
        return;
    redisReaderFree(replies->reader);
    free_reply(replies->last);
    free(replies);
}

void redis_replies_begin(struct redis_replies *replies)
{
    redisReaderFree(replies->reader);
    replies->reader = new_reader(replies);
    replies->taken_bytes = 0;
    replies->too_long = false;
}

void redis_replies_feed(struct redis_replies *replies, const char *data, size_t len)
{
    redisReaderFeed(replies->reader, data, len);
}

static void forget_last(struct redis_replies *replies)
{
    if (replies->last != NULL)
        replies->taken_bytes = 0;
    free_reply(replies->last);
    replies->last = NULL;
}

/* A string is taken when all of it is there; until then hiredis keeps what has come.
 */
static bool is_too_long(const struct redis_replies *replies)
{
    const redisReader *reader = replies->reader;
    return replies->too_long || reader->len - reader->pos > replies->limits.string_bytes;
}

int redis_replies_next(struct redis_replies *replies, const struct redis_reply **reply)
{
    void *found = NULL;
    *reply = NULL;
    forget_last(replies);
    bool good = redisReaderGetReply(replies->reader, &found) == REDIS_OK;
    if (found == NULL && is_too_long(replies))
        return REDIS_REPLIES_TOO_LONG;
    if (!good)
        return replies->reader->err == REDIS_ERR_OOM ? REDIS_REPLIES_NO_MEMORY
                                                     : REDIS_REPLIES_BROKEN;
    *reply = replies->last = found;
    return 0;
}

const char *redis_replies_why(int error)
{
    if (error == REDIS_REPLIES_TOO_LONG)
        return "Redis sent a longer answer than any that was asked for; is that address really a "
               "Redis, and one for this service alone?";
    if (error == REDIS_REPLIES_NO_MEMORY)
        return "there is no memory left to read what Redis sends";
    return "Redis sent what is not RESP; is it Redis that listens there?";
}

/* --- What is in a reply --- */

bool redis_reply_is_error(const struct redis_reply *reply)
{
    return reply == NULL || reply->type == REDIS_REPLY_ERROR;
}

bool redis_reply_has_error(const struct redis_reply *reply, const char *word)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
           strncmp(reply->string, word, strlen(word)) == 0;
}

bool redis_reply_error(const struct redis_reply *reply, struct redis_error *out)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return false;
    redis_error_read(reply->string, reply->count, out);
    return true;
}

int64_t redis_reply_integer(const struct redis_reply *reply)
{
    if (reply == NULL)
        return 0;
    if (reply->type == REDIS_REPLY_INTEGER)
        return reply->integer;
    return reply->type == REDIS_REPLY_STRING ? strtoll(reply->string, NULL, 10) : 0;
}

uint64_t redis_reply_number(const struct redis_reply *reply)
{
    int64_t number = redis_reply_integer(reply);
    return number_is_good(number) ? (uint64_t)number : 0;
}

const char *redis_reply_string(const struct redis_reply *reply, size_t *len)
{
    bool is_string =
        reply != NULL && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
                          reply->type == REDIS_REPLY_ERROR);
    if (len != NULL)
        *len = is_string ? reply->count : 0;
    return is_string ? reply->string : NULL;
}

const char *redis_reply_text(const struct redis_reply *reply, size_t most)
{
    size_t len;
    const char *text = redis_reply_string(reply, &len);
    bool good = text != NULL && strlen(text) == len && len <= most && scan_is_utf8(text, len);
    return good ? text : "";
}

bool redis_info_field(const char *info, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += line[0] == '\n';
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        line += len + 1;
        snprintf(out, size, "%.*s", (int)strcspn(line, "\r\n"), line);
        return true;
    }
    return false;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY ? reply->count : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t index)
{
    return index < redis_reply_count(reply) ? reply->elements[index] : NULL;
}
