#include "unit.h"

#include "client.h"

#include "virtual_time.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 3000,
    HEAD = 2,
    MASK = 4,
    SHORT = 125, /* longest length that stands in the second byte (section 5.2) */
    LONG_16 = 126,
    LONG_64 = 127,
    NO_CODE = 1005,
    CUT = 1006,
    TEXT = 1,
    CLOSE = 8,
    FINAL = 0x80,
    MASKED = 0x80,
};

struct client {
    int fd; /* -1: closed */
    uint8_t bytes[1 << 18];
    size_t len;
    json_t *message; /* the last one that was taken */
    unsigned end;    /* close code; 0: open */
    bool eof;
};

struct client *client_new(int *gateway_fd)
{
    int fds[2];
    struct client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    client->fd = fds[0];
    *gateway_fd = fds[1];
    return client;
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    client_cut(client);
    json_decref(client->message);
    free(client);
}

/* --- Out --- */

static void send_frame(const struct client *client, int opcode, const void *data, size_t len)
{
    uint8_t frame[HEAD + 2 + MASK + 65536] = {(uint8_t)(FINAL | opcode)}; /* masked with zeroes */
    size_t at = HEAD;
    assert_true(len < 65536);
    frame[1] = (uint8_t)(MASKED | (len <= SHORT ? len : LONG_16));
    if (len > SHORT) {
        frame[at++] = (uint8_t)(len >> 8);
        frame[at++] = (uint8_t)len;
    }
    at += MASK;
    memcpy(frame + at, data, len);
    assert_int_equal(send(client->fd, frame, at + len, MSG_NOSIGNAL), at + len);
}

void client_send(struct client *client, const char *json)
{
    send_frame(client, TEXT, json, strlen(json));
}

void client_close(struct client *client, unsigned code)
{
    const uint8_t bytes[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    send_frame(client, CLOSE, bytes, sizeof bytes);
}

void client_cut(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

/* --- In --- */

static void note_end(struct client *client, unsigned code)
{
    if (client->end == 0)
        client->end = code;
}

static void read_bytes(struct client *client)
{
    for (;;) {
        ssize_t got = client->fd < 0 ? -1
                                     : recv(client->fd, client->bytes + client->len,
                                            sizeof client->bytes - client->len, 0);
        client->eof |= got == 0;
        if (got <= 0)
            return;
        client->len += (size_t)got;
    }
}

/* Where the first frame's payload begins, and how long it is; false when it is not whole. */
static bool find_frame(const struct client *client, size_t *at, size_t *len)
{
    size_t more = 0;
    if (client->len < HEAD)
        return false;
    *len = client->bytes[1];
    if (*len > SHORT)
        more = *len == LONG_16 ? 2 : 8;
    *at = HEAD + more;
    if (client->len < *at)
        return false;
    if (more > 0)
        *len = 0;
    for (size_t i = 0; i < more; i++)
        *len = *len << 8 | client->bytes[HEAD + i];
    return client->len >= *at + *len;
}

static json_t *read_json(const uint8_t *data, size_t len)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)data, len, 0, &error);
    if (json == NULL)
        fail_msg("no JSON (%s): %.*s", error.text, (int)len, (const char *)data);
    return json;
}

/* The next message; NULL when none has come whole. */
static json_t *take(struct client *client)
{
    size_t at, len;
    json_t *json = NULL;
    read_bytes(client);
    while (json == NULL && find_frame(client, &at, &len)) {
        const uint8_t *data = client->bytes + at;
        int opcode = client->bytes[0] & 0x0f;
        if (opcode == TEXT)
            json = read_json(data, len);
        else if (opcode == CLOSE)
            note_end(client, len < 2 ? NO_CODE : (unsigned)(data[0] << 8 | data[1]));
        client->len -= at + len;
        memmove(client->bytes, data + len, client->len);
    }
    if (json == NULL && client->eof)
        note_end(client, CUT);
    return json;
}

static bool has_come(void *arg)
{
    struct client *client = arg;
    json_t *json = take(client);
    if (json == NULL)
        return client->end != 0;
    json_decref(client->message);
    client->message = json;
    return true;
}

static const json_t *next(struct client *client, const char *wanted)
{
    json_decref(client->message);
    client->message = NULL;
    if (!loop_until(has_come, client, PATIENCE_MS))
        fail_msg("nothing came; wanted: %s", wanted);
    if (client->message == NULL)
        fail_msg("the connection ended with %u; wanted: %s", client->end, wanted);
    return client->message;
}

static bool is_of_type(const json_t *message, const char *type)
{
    return strcmp(client_text(message, "type"), type) == 0;
}

const json_t *client_expect(struct client *client, const char *type)
{
    const json_t *message = next(client, type);
    if (!is_of_type(message, type))
        fail_msg("wanted: %s; came: %s", type, json_dumps(message, 0));
    return message;
}

const json_t *client_await(struct client *client, const char *type)
{
    const json_t *message;
    do
        message = next(client, type);
    while (!is_of_type(message, type));
    return message;
}

const json_t *client_expect_error(struct client *client, const char *code)
{
    const json_t *error = client_expect(client, "error");
    assert_string_equal(client_text(error, "code"), code);
    return error;
}

void client_expect_silence(struct client *client)
{
    loop_settle();
    json_t *json = take(client);
    if (json != NULL)
        fail_msg("wanted: nothing; came: %s", json_dumps(json, 0));
    assert_int_equal(client->end, 0);
}

void client_forget(struct client *client)
{
    json_t *json;
    loop_settle();
    while ((json = take(client)) != NULL)
        json_decref(json);
}

static bool has_ended(void *arg)
{
    struct client *client = arg;
    json_t *json;
    while ((json = take(client)) != NULL)
        json_decref(json);
    return client->end != 0;
}

unsigned client_await_end(struct client *client)
{
    if (!loop_until(has_ended, client, PATIENCE_MS))
        fail_msg("the connection did not end");
    return client->end;
}

/* --- Fields --- */

static const json_t *find(const json_t *message, const char *field)
{
    const json_t *value = json_object_get(message, field);
    if (value == NULL)
        fail_msg("no %s in %s", field, json_dumps(message, 0));
    return value;
}

const char *client_text(const json_t *message, const char *field)
{
    const char *text = json_string_value(find(message, field));
    assert_non_null(text);
    return text;
}

long long client_number(const json_t *message, const char *field)
{
    const json_t *value = find(message, field);
    assert_true(json_is_number(value));
    return (long long)json_number_value(value);
}

bool client_flag(const json_t *message, const char *field)
{
    const json_t *value = find(message, field);
    assert_true(json_is_boolean(value));
    return json_is_true(value);
}

const char *client_names(const json_t *message, const char *field)
{
    static char names[4096];
    size_t i, len = 0;
    const json_t *person;
    names[0] = '\0';
    json_array_foreach(find(message, field), i, person) len +=
        (size_t)snprintf(names + len, sizeof names - len, "%s ", client_text(person, "name"));
    return names;
}
