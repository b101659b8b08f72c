#include "http/proxy_peer.h"

#include "protocol/proxy_header.h"

#include <string.h>

int proxy_peer_read(const char *data, size_t len, struct address *peer, bool *hidden)
{
    struct proxy_header header;
    int header_len = proxy_header_parse((const uint8_t *)data, len, &header);
    if (header_len <= 0)
        return header_len;
    *hidden = header.source == PROXY_SOURCE_UNKNOWN;
    if (header.source == PROXY_SOURCE_ADDRESS) {
        *peer = (struct address){0};
        memcpy(peer->bytes, header.address, sizeof peer->bytes);
    }
    return header_len;
}
