#include "http/client_address.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct client_addresses {
    struct client_addresses_options options;
    bool warned;
};

struct client_addresses *client_addresses_new(const struct client_addresses_options *options)
{
    struct client_addresses *all = memory_new(sizeof *all);
    all->options = *options;
    return all;
}

void client_addresses_free(struct client_addresses *all)
{
    free(all);
}

/* --- Logging --- */

static void warn_ignored(struct client_addresses *all, const struct address *peer)
{
    char address[ADDRESS_TEXT_BYTES];
    if (all->warned)
        return;
    all->warned = true;
    all->options.format(all->options.arg, peer, address);
    log_write(all->options.log,
              &(struct log_line){.level = LOG_LEVEL_WARN,
                                 .kind = "forwarded-ignored",
                                 .remote_addr = address,
                                 .message = "a peer that is no trusted-proxy sent X-Forwarded-For, "
                                            "X-Real-IP or Forwarded; it is ignored (told once)"});
}

void client_address_note_refused(const struct client_addresses *all, const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES];
    all->options.format(all->options.arg, address, text);
    refusals_note(all->options.refusals, REFUSAL_MAX_CONNECTIONS_PER_ADDRESS, text);
}

/* --- Finding --- */

bool client_address_is_trusted(const struct client_addresses *all, const struct address *peer)
{
    const struct config_blocks *trusted = &all->options.config->trusted_proxy_blocks;
    return peer->local_socket || address_in_blocks(peer, trusted->items, trusted->count);
}

/* All X-Forwarded-For headers as one list, in order (RFC 9110 section 5.3). */
static void join_forwarded(const struct http_request *request, struct text *out)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (!http_header_is(&request->headers[i], "X-Forwarded-For"))
            continue;
        if (out->len > 0)
            text_add_string(out, ",");
        text_add_string(out, request->headers[i].value);
    }
}

/* Walks the list, from the peer to the first that is no trusted proxy; false when there is no
 * address. */
static bool walk_forwarded(const struct client_addresses *all, const struct http_request *request,
                           struct address *at)
{
    const struct config_blocks *trusted = &all->options.config->trusted_proxy_blocks;
    struct text list = TEXT_EMPTY;
    join_forwarded(request, &list);
    bool moved = list.len > 0 && address_walk(at, list.data, trusted->items, trusted->count);
    text_done(&list);
    return moved;
}

/* `Forwarded` is not read: a proxy that writes only X-Forwarded-For hands on what a client put
 * there. But whoever sends it is no client of this machine's own. */
struct client_address client_address_find(struct client_addresses *all, const struct address *peer,
                                          const struct http_request *request)
{
    const char *real = http_request_header(request, "X-Real-IP");
    bool listed = http_request_header(request, "X-Forwarded-For") != NULL;
    struct client_address found = {.address = *peer, .believable = true};
    if (!listed && real == NULL && http_request_header(request, "Forwarded") == NULL)
        return found;
    if (!client_address_is_trusted(all, peer)) {
        warn_ignored(all, peer);
        found.believable = false;
    } else if (listed) {
        found.believable = walk_forwarded(all, request, &found.address);
    } else {
        found.believable = real != NULL && http_request_header_count(request, "X-Real-IP") == 1 &&
                           address_parse(real, strlen(real), &found.address) == 0;
    }
    return found;
}
