/* A client's first bytes, through the HTTP server of a gateway to its WebSocket: whoever gets 101
 * has asked for it as RFC 6455 section 4.2 says, the answer is a well-formed head, and only frames
 * come after it. However the bytes are cut, the answer is the same; of two faults it tells one. */
#include "fuzz.h"
#include "http_stage.h"
#include "lib/server_frames.h"
#include "protocol/deflate.h"
#include "protocol/http_request.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <strings.h>

enum {
    KEY_LEN = 24,
    KEY_BYTES = 16,
    SHA1_BYTES = 20,
    ACCEPT_BYTES = 32, /* base64 of a SHA-1, and a NUL */
    STATUS_LEN = 12,   /* "HTTP/1.1 NNN" */
    MOST_HEADERS = 64, /* of an answer */
    REFUSED = 400,     /* and all above it */
};

/* Not counted among those of its address. */
static const char visitor_address[] = "127.0.0.1";
static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\n";

/* --- What was asked for --- */

/* Base64 of 16 bytes, as another library sees it. */
static void check_key(const char *key, char accept[ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t bytes[KEY_LEN];
    char again[KEY_LEN + 1], text[KEY_LEN + sizeof guid];
    uint8_t hash[SHA1_BYTES];
    must(strlen(key) == KEY_LEN, "a key has 24 characters");
    must(EVP_DecodeBlock(bytes, (const uint8_t *)key, KEY_LEN) == KEY_BYTES + 2, "it is base64");
    EVP_EncodeBlock((uint8_t *)again, bytes, KEY_BYTES);
    must(strcmp(again, key) == 0, "of 16 bytes");
    memcpy(text, key, KEY_LEN);
    memcpy(text + KEY_LEN, guid, sizeof guid);
    EVP_Digest(text, sizeof text - 1, hash, NULL, EVP_sha1(), NULL);
    EVP_EncodeBlock((uint8_t *)accept, hash, SHA1_BYTES);
}

static const char *only_header(const struct http_request *request, const char *name)
{
    must(http_request_header_count(request, name) == 1, "a header that is there once");
    return http_request_header(request, name);
}

/* Some header of that name has the word. */
static bool mentions(const struct http_request *request, const char *name, const char *word)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (http_header_is(&request->headers[i], name) &&
            strcasestr(request->headers[i].value, word) != NULL)
            return true;
    return false;
}

static void check_asked(const struct http_request *request)
{
    must(strcmp(request->method, "GET") == 0 && request->minor == 1, "GET of HTTP/1.1");
    must(!request->has_body, "without a body");
    must(request->host != NULL, "for a host");
    must(mentions(request, "Upgrade", "websocket"), "it asks for a WebSocket");
    must(mentions(request, "Connection", "upgrade"), "on this connection");
    must(strcmp(only_header(request, "Sec-WebSocket-Version"), "13") == 0, "one version, 13");
}

/* --- What was answered --- */

/* A line of an answer's head, without its end. */
static bool next_line(const char **at, const char *end, char *out, size_t size)
{
    const char *stop = memmem(*at, (size_t)(end - *at), "\r\n", 2);
    must(stop != NULL, "each line of a head has an end");
    size_t len = (size_t)(stop - *at);
    must(len < size, "it is not endless");
    for (size_t i = 0; i < len; i++)
        must(!iscntrl((unsigned char)(*at)[i]), "and no control byte in it");
    memcpy(out, *at, len);
    out[len] = '\0';
    *at = stop + 2;
    return len > 0;
}

static void check_header(const char *line)
{
    size_t name_len = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");
    must(name_len > 0 && strncmp(line + name_len, ": ", 2) == 0, "a header has a name");
}

/* The first answer's head; returns how long it is. */
static size_t check_head(struct stage_bytes answer)
{
    char line[2048];
    const char *at = answer.data, *end = answer.data + answer.len;
    next_line(&at, end, line, sizeof line);
    must(strncmp(line, "HTTP/1.1 ", 9) == 0, "it begins with a status");
    must(stage_status(answer) >= 100 && stage_status(answer) < 600, "which is one");
    for (size_t headers = 0; next_line(&at, end, line, sizeof line); headers++) {
        check_header(line);
        must(headers < MOST_HEADERS, "a head ends");
    }
    return (size_t)(at - answer.data);
}

static void check_frames(struct stage_bytes answer, size_t head_len, bool deflated)
{
    static struct inflater *inflater;
    static uint64_t count;
    struct server_frame frame;
    if (inflater == NULL)
        inflater = inflater_new(0, &count);
    struct server_frames frames = {(const uint8_t *)answer.data + head_len, answer.len - head_len,
                                   deflated ? inflater : NULL, false};
    while (server_frames_next(&frames, &frame))
        continue;
    must(frames.len == 0, "after the handshake there are whole frames, and nothing else");
}

static void check_switched(const struct http_request *request, struct stage_bytes answer)
{
    char accept[ACCEPT_BYTES];
    const char *extension;
    must(strncmp(answer.data, switching, sizeof switching - 1) == 0, "101 has its words");
    check_asked(request);
    check_key(only_header(request, "Sec-WebSocket-Key"), accept);
    must_be_same(stage_header(answer, "Sec-WebSocket-Accept"), accept, "its key is accepted");
    must_be_same(stage_header(answer, "Upgrade"), "websocket", "it is told what comes");
    must_be_same(stage_header(answer, "Connection"), "Upgrade", "and on which connection");
    extension = stage_header(answer, "Sec-WebSocket-Extensions");
    must(extension == NULL || mentions(request, "Sec-WebSocket-Extensions", "permessage-deflate"),
         "nothing is compressed that was not offered");
    check_frames(answer, check_head(answer), extension != NULL);
}

static void check_answer(const uint8_t *data, size_t len, struct stage_bytes answer)
{
    struct http_request request;
    check_head(answer);
    if (stage_status(answer) != 101)
        return;
    char *copy = memcpy(malloc(len + 1), data, len);
    size_t head_len = http_request_head_len(copy, len, 0);
    must(head_len > 0 && http_request_parse(copy, head_len, &request) == 0, "it was a request");
    check_switched(&request, answer);
    free(copy);
}

/* Sends what is before the cut, then the rest; the status of the first answer, or 0. */
static int ask(const uint8_t *data, size_t len, size_t cut)
{
    int visitor = stage_visit(visitor_address);
    if (cut > 0)
        stage_send_bytes(visitor, data, cut);
    if (cut < len)
        stage_send_bytes(visitor, data + cut, len - cut);
    struct stage_bytes answer = stage_receive(visitor);
    int status = answer.len < STATUS_LEN ? 0 : stage_status(answer);
    if (answer.len > 0)
        check_answer(data, len, answer);
    stage_leave(visitor);
    return status;
}

/* The first byte says where the rest is cut: at a part of it in 255. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static bool open;
    if (!open) {
        stage_open();
        atexit(stage_close);
        open = true;
    }
    if (len < 2)
        return 0;
    int whole = ask(data + 1, len - 1, len - 1);
    int cut = ask(data + 1, len - 1, (len - 1) * data[0] / 255);
    must(whole == cut || (whole >= REFUSED && cut >= REFUSED),
         "however it is cut, the answer is the same, or another refusal");
    return 0;
}
