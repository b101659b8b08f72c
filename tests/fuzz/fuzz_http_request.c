#include "base/memory.h"
#include "config/address_walk.h"
#include "protocol/handshake.h"
#include "protocol/http_field.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct http_request request;
    size_t head_len = http_request_head_len((const char *)data, len, 0);
    if (head_len == 0) {
        http_request_is_hopeless((const char *)data, len, 0);
        return 0;
    }
    char *head = memory_copy((const char *)data, len);
    if (http_request_parse(head, head_len, &request) == 0) {
        struct address_walk walk = {.at.local_socket = true};
        handshake_judge(&request);
        handshake_origin_allowed(&request, NULL, 0);
        http_field_prefers_gzip(&request);
        const char *forwarded = http_request_header(&request, "X-Forwarded-For");
        if (forwarded != NULL)
            address_walk_list(&walk, forwarded);
        http_request_decode(request.path);
    }
    free(head);
    return 0;
}
