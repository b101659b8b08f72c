#include "http/client_address.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/address_walk.h"

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

/* All headers of that name as one list, in order (RFC 9110 section 5.3). */
static void join_lists(const struct http_request *request, const char *name, struct text *out)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (!http_header_is(&request->headers[i], name))
            continue;
        if (out->len > 0)
            text_add_string(out, ",");
        text_add_string(out, request->headers[i].value);
    }
}

/* Walks the list, from the peer to the first that is no trusted proxy. */
static void walk(const struct client_addresses *all, const struct http_request *request,
                 enum config_address_header header, struct client_address *found)
{
    const struct config_blocks *trusted = &all->options.config->trusted_proxy_blocks;
    bool forwarded = header == CONFIG_ADDRESS_FORWARDED;
    struct address_walk walk = {trusted->items, trusted->count, found->address};
    struct text list = TEXT_EMPTY;
    join_lists(request, forwarded ? "Forwarded" : "X-Forwarded-For", &list);
    const char *text = list.len > 0 ? list.data : "";
    found->believable =
        forwarded ? address_walk_forwarded(&walk, text) : address_walk_list(&walk, text);
    found->address = walk.at;
    text_done(&list);
}

/* One address, which there must be once. */
static void read_real(const struct http_request *request, struct client_address *found)
{
    const char *real = http_request_header(request, "X-Real-IP");
    found->believable = real != NULL && http_request_header_count(request, "X-Real-IP") == 1 &&
                        address_parse(real, strlen(real), &found->address) == 0;
}

static bool has_address_header(const struct http_request *request)
{
    static const char *const names[] = {"X-Forwarded-For", "X-Real-IP", "Forwarded"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (http_request_header(request, names[i]) != NULL)
            return true;
    return false;
}

/* A header that the setting does not name is not read: a proxy that does not write it hands on what
 * a client put there. But whoever sends it is no client of this machine's own. */
struct client_address client_address_find(struct client_addresses *all, const struct address *peer,
                                          bool hidden, const struct http_request *request)
{
    enum config_address_header header =
        (enum config_address_header)all->options.config->client_address_header;
    struct client_address found = {.address = *peer, .believable = !hidden};
    if (!has_address_header(request))
        return found;
    found.believable = false;
    if (hidden || !client_address_is_trusted(all, peer))
        warn_ignored(all, peer);
    else if (header == CONFIG_ADDRESS_REAL ||
             (header == CONFIG_ADDRESS_LIST &&
              http_request_header(request, "X-Forwarded-For") == NULL))
        read_real(request, &found);
    else
        walk(all, request, header, &found);
    return found;
}
