#include "protocol/handshake.h"

#include "base/digest.h"
#include "protocol/http_field.h"
#include "protocol/origin.h"

#include <string.h>
#include <strings.h>

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum { KEY_LEN = 24 };

/* Base64 of 16 bytes: 22 characters and two pads; the last character carries 4 zero bits. */
static bool is_websocket_key(const char *key)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return key != NULL && strlen(key) == KEY_LEN && strspn(key, alphabet) == KEY_LEN - 2 &&
           strchr("AQgw", key[KEY_LEN - 3]) != NULL && strcmp(key + KEY_LEN - 2, "==") == 0;
}

int handshake_judge(const struct http_request *request)
{
    bool get = strcmp(request->method, "GET") == 0;
    if (!get && strcmp(request->method, "HEAD") != 0)
        return 405;
    if (!get || request->minor < 1 || !http_field_has(request, "Upgrade", "websocket"))
        return 426;
    if (!http_field_has(request, "Connection", "upgrade"))
        return 400;
    const char *version = http_request_header(request, "Sec-WebSocket-Version");
    if (version == NULL || http_request_header_count(request, "Sec-WebSocket-Version") > 1)
        return 400;
    if (strcmp(version, "13") != 0)
        return 426;
    if (http_request_header_count(request, "Sec-WebSocket-Key") != 1 ||
        !is_websocket_key(http_request_header(request, "Sec-WebSocket-Key")))
        return 400;
    return request->has_body ? 400 : 101;
}

bool handshake_origin_allowed(const struct http_request *request, char *const *allowed, size_t n)
{
    char page[ORIGIN_BYTES];
    const char *origin = http_request_header(request, "Origin");
    if (origin == NULL)
        return true;
    for (size_t i = 0; i < n; i++)
        if (strcmp(allowed[i], "*") == 0)
            return true;
    if (http_request_header_count(request, "Origin") > 1 || origin_read(origin, page) != 0)
        return false;
    if (n == 0)
        return request->host != NULL && origin_is_of_host(page, request->host);
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(allowed[i], page) == 0)
            return true;
    return false;
}

void handshake_accept(const char *key, char out[HANDSHAKE_ACCEPT_BYTES])
{
    char text[KEY_LEN + sizeof guid];
    uint8_t hash[DIGEST_SHA1_BYTES];
    memcpy(text, key, KEY_LEN);
    memcpy(text + KEY_LEN, guid, sizeof guid);
    digest_sha1(text, sizeof text - 1, hash);
    digest_base64(hash, sizeof hash, out);
}
