/* What visitors read of an answer. */
#include "http_stage.h"

#include "unit.h"

#include <strings.h>

/* Where the body of the first answer begins; NULL when there is no whole head. */
static const char *find_body(struct stage_bytes bytes)
{
    const char *end = memmem(bytes.data, bytes.len, "\r\n\r\n", 4);
    return end == NULL ? NULL : end + 4;
}

int stage_status(struct stage_bytes bytes)
{
    int status = 0;
    if (find_body(bytes) == NULL || sscanf(bytes.data, "HTTP/1.1 %3d ", &status) != 1)
        return 0;
    return status;
}

const char *stage_header(struct stage_bytes bytes, const char *name)
{
    static char value[1024];
    const char *body = find_body(bytes);
    size_t name_len = strlen(name);
    for (const char *at = bytes.data; body != NULL && at < body - 2; at = strstr(at, "\r\n") + 2) {
        if (strncasecmp(at, name, name_len) != 0 || strncmp(at + name_len, ": ", 2) != 0)
            continue;
        at += name_len + 2;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
        return value;
    }
    return NULL;
}

/* An answer to HEAD has a length and no body: then the next one stands there, or nothing. */
struct stage_bytes stage_body(struct stage_bytes bytes)
{
    const char *body = find_body(bytes);
    if (body == NULL)
        return (struct stage_bytes){.data = ""};
    const char *length = stage_header(bytes, "Content-Length");
    size_t left = bytes.len - (size_t)(body - bytes.data);
    size_t len = length == NULL ? 0 : strtoul(length, NULL, 10);
    if (left == 0 || strncmp(body, "HTTP/1.1 ", 9) == 0)
        len = 0;
    return (struct stage_bytes){.data = body, .len = len < left ? len : left};
}

static size_t add_word(char *list, size_t len, const char *word)
{
    return len + (size_t)sprintf(list + len, "%s%s", len == 0 ? "" : " ", word);
}

static bool is_whole(struct stage_bytes answer, struct stage_bytes body)
{
    const char *length = stage_header(answer, "Content-Length");
    return body.len == 0 || strtoul(length, NULL, 10) == body.len;
}

const char *stage_statuses(struct stage_bytes bytes)
{
    static char list[4096];
    char word[8];
    size_t len = 0;
    list[0] = '\0';
    while (bytes.len > 0 && len < sizeof list - 8) {
        int status = stage_status(bytes);
        struct stage_bytes body = stage_body(bytes);
        if (status == 0 || !is_whole(bytes, body)) {
            add_word(list, len, "?");
            break;
        }
        snprintf(word, sizeof word, "%d", status);
        len = add_word(list, len, word);
        bytes.len = (size_t)(bytes.data + bytes.len - (body.data + body.len));
        bytes.data = body.data + body.len;
    }
    return list;
}
