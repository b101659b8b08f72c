/* proxy_peer: who a peer is by the PROXY header that its connection begins with. Owns nothing. */
#ifndef YUKIZURI_HTTP_PROXY_PEER_H
#define YUKIZURI_HTTP_PROXY_PEER_H

#include "config/address.h"

/* Reads the header at the beginning of `data`. Returns its length: `peer` is who it names, or stays
 * the proxy when it names nobody. `hidden`: it passes on somebody's bytes all the same. Otherwise
 * both stay as they are: 0 when more bytes are needed, -1 when this will be no such header. */
int proxy_peer_read(const char *data, size_t len, struct address *peer, bool *hidden);

#endif
