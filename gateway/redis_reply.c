#include "redis_reply.h"

#include "arena.h"
#include "memory.h"

#include <hiredis/hiredis.h>
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
    struct arena *arena;
    bool complete; /* what is in the arena has been handed out */
    void (*on_error)(void *arg, const char *text, size_t len);
    void *arg;
};

/* --- What hiredis calls --- */

/* One more, at its place in the array that it belongs to. */
static struct redis_reply *add(const redisReadTask *task, size_t more)
{
    const struct redis_replies *replies = task->privdata;
    struct redis_reply *reply = arena_take(replies->arena, sizeof *reply + more);
    reply->type = task->type;
    reply->count = 0;
    if (task->parent != NULL) {
        struct redis_reply *array = task->parent->obj;
        array->elements[task->idx] = reply;
    }
    return reply;
}

static void *add_string(const redisReadTask *task, char *data, size_t len)
{
    struct redis_reply *reply = add(task, len + 1);
    reply->string = (char *)(reply + 1);
    reply->count = len;
    memcpy(reply->string, data, len);
    reply->string[len] = '\0';
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
    size_t bytes = (size_t)count * sizeof(struct redis_reply *);
    struct redis_reply *reply = add(task, bytes);
    reply->elements = (struct redis_reply **)(void *)(reply + 1);
    reply->count = (size_t)count;
    memset(reply->elements, 0, bytes);
    return reply;
}

static void *add_integer(const redisReadTask *task, long long number)
{
    struct redis_reply *reply = add(task, 0);
    reply->integer = number;
    return reply;
}

static void *add_nil(const redisReadTask *task)
{
    struct redis_reply *reply = add(task, 0);
    reply->type = REDIS_REPLY_NIL; /* the task's is that of what might have been there */
    return reply;
}

static void keep(void *reply)
{
    (void)reply; /* it is the arena's */
}

/* --- Reading --- */

static redisReader *new_reader(struct redis_replies *replies)
{
    static redisReplyObjectFunctions functions = {
        .createString = add_string,
        .createArray = add_array,
        .createInteger = add_integer,
        .createNil = add_nil,
        .freeObject = keep,
    };
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    if (reader == NULL)
        abort(); /* out of memory */
    reader->privdata = replies;
    return reader;
}

struct redis_replies *redis_replies_new(void)
{
    struct redis_replies *replies = memory_new(sizeof *replies);
    replies->arena = arena_new();
    replies->reader = new_reader(replies);
    return replies;
}

void redis_replies_free(struct redis_replies *replies)
{
    if (replies == NULL)
        return;
    redisReaderFree(replies->reader);
    arena_free(replies->arena);
    free(replies);
}

void redis_replies_watch(struct redis_replies *replies,
                         void (*on_error)(void *arg, const char *text, size_t len), void *arg)
{
    replies->on_error = on_error;
    replies->arg = arg;
}

void redis_replies_begin(struct redis_replies *replies)
{
    redisReaderFree(replies->reader);
    replies->reader = new_reader(replies);
    replies->complete = true;
}

void redis_replies_feed(struct redis_replies *replies, const char *data, size_t len)
{
    redisReaderFeed(replies->reader, data, len);
}

int redis_replies_next(struct redis_replies *replies, const struct redis_reply **reply)
{
    void *found = NULL;
    *reply = NULL;
    if (replies->complete)
        arena_clear(replies->arena);
    replies->complete = false;
    if (redisReaderGetReply(replies->reader, &found) != REDIS_OK)
        return -1;
    replies->complete = found != NULL;
    *reply = found;
    return 0;
}

/* --- What is in a reply --- */

bool redis_reply_is_error(const struct redis_reply *reply)
{
    return reply == NULL || reply->type == REDIS_REPLY_ERROR;
}

bool redis_reply_is_wrong_type(const struct redis_reply *reply)
{
    static const char word[] = "WRONGTYPE";
    return reply != NULL && redis_reply_is_error(reply) &&
           strncmp(redis_reply_string(reply, NULL), word, sizeof word - 1) == 0;
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

const char *redis_reply_string(const struct redis_reply *reply, size_t *len)
{
    bool is_string =
        reply != NULL && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
                          reply->type == REDIS_REPLY_ERROR);
    if (len != NULL)
        *len = is_string ? reply->count : 0;
    return is_string ? reply->string : NULL;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY ? reply->count : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t index)
{
    return index < redis_reply_count(reply) ? reply->elements[index] : NULL;
}
