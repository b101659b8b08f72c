/* What clients offer in Sec-WebSocket-Extensions: each line of the input is one header. */
#include "fuzz.h"
#include "protocol/extension.h"

enum { MOST_LINES = 8 };

static const char base[] =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
static const char window[] = "; server_max_window_bits=9";

static int negotiate(char *lines, char *answer)
{
    struct http_request request = {.header_count = 0};
    for (char *line = strtok(lines, "\n"); line != NULL && request.header_count < MOST_LINES;
         line = strtok(NULL, "\n"))
        request.headers[request.header_count++] = (struct http_header){
            "Sec-WebSocket-Extensions", line, strlen("Sec-WebSocket-Extensions")};
    return extension_negotiate(&request, answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char answer[EXTENSION_ANSWER_BYTES] = "";
    char *lines = strndup((const char *)data, len);
    char *same = strdup(lines);
    int result = negotiate(lines, answer);
    must(result == 1 || result == 0 || result == HTTP_REQUEST_BAD, "one of the three");
    if (result == 1) {
        must(strstr(same, "permessage-deflate") != NULL, "it was offered");
        must(strncmp(answer, base, sizeof base - 1) == 0, "without takeover");
        const char *rest = answer + sizeof base - 1;
        must(rest[0] == '\0' || strcmp(rest, window) == 0, "and with a window, or not");
        must(rest[0] == '\0' || strstr(same, "server_max_window_bits") != NULL, "that was asked");
    } else {
        must(answer[0] == '\0', "no answer");
    }
    free(same);
    free(lines);
    return 0;
}
