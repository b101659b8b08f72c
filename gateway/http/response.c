#include "http/response.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

static const struct {
    int status;
    const char *phrase;
} reasons[] = {
    {200, "OK"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

static const char *find_reason(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].phrase;
    return "Error";
}

/* --- Making --- */

void response_begin(struct response *response, int status)
{
    text_clear(&response->out);
    text_print(&response->out, "HTTP/1.1 %d %s\r\n", status, find_reason(status));
    response_add_headers(response, "X-Content-Type-Options: nosniff\r\n"
                                   "Referrer-Policy: no-referrer\r\n");
}

void response_add_headers(struct response *response, const char *lines)
{
    text_add_string(&response->out, lines);
}

void response_end_empty(struct response *response)
{
    text_print(&response->out, "Connection: %s\r\n\r\n",
               response->keep_alive ? "keep-alive" : "close");
}

static void end_head(struct response *response, const char *type, size_t len)
{
    text_print(&response->out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, len);
    response_end_empty(response);
}

void response_end_text(struct response *response, const char *type, const char *body, size_t len)
{
    end_head(response, type, len);
    if (!response->is_head)
        text_add(&response->out, body, len);
}

void response_end_static(struct response *response, const char *type, const unsigned char *body,
                         size_t len)
{
    end_head(response, type, len);
    response->body = body;
    response->body_len = response->is_head ? 0 : len;
}

void response_say(struct response *response, int status, const char *sentence)
{
    char line[256];
    int len = snprintf(line, sizeof line, "%s\n", sentence);
    response_begin(response, status);
    if (status == 404)
        response_add_headers(response, "Vary: Accept\r\n");
    if (status == 405)
        response_add_headers(response, "Allow: GET, HEAD\r\n");
    if (status == 426)
        response_add_headers(response, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    if (status == 503 || status == 429)
        text_print(&response->out, "Retry-After: %u\r\n",
                   response->retry_after_s > 0 ? response->retry_after_s : RESPONSE_RETRY_AFTER_S);
    response_add_headers(response, "Cache-Control: no-store\r\n");
    response_end_text(response, "text/plain; charset=utf-8", line, (size_t)len);
}

/* --- Sending --- */

static int collect_unsent(const struct response *response, struct iovec iov[2])
{
    int count = 0;
    size_t skip = response->sent;
    if (skip < response->out.len) {
        iov[count++] = (struct iovec){response->out.data + skip, response->out.len - skip};
        skip = 0;
    } else {
        skip -= response->out.len;
    }
    if (skip < response->body_len)
        iov[count++] =
            (struct iovec){(void *)(uintptr_t)(response->body + skip), response->body_len - skip};
    return count;
}

int response_write(struct response *response, int fd)
{
    struct iovec iov[2];
    int count;
    while ((count = collect_unsent(response, iov)) > 0) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        response->sent += (size_t)sent;
    }
    return 1;
}

void response_done(struct response *response)
{
    text_done(&response->out);
    response->body = NULL;
    response->body_len = 0;
    response->sent = 0;
    response->retry_after_s = 0;
    response->is_head = false;
}

void response_send_bare(int fd, int status)
{
    char answer[128];
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 %d %s\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
                       "Connection: close\r\n\r\n",
                       status, find_reason(status));
    send(fd, answer, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}
