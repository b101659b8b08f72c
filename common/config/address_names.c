#include "config/address_names.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { BITS = 128, V4_BITS = 32 };

/* `bits` count from the beginning of the 128, for IPv4 as well. */
static void clear_behind(struct address *address, unsigned bits)
{
    for (unsigned i = 0; i < sizeof address->bytes; i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        if (kept < 8)
            address->bytes[i] &= (uint8_t)(0xff00 >> kept);
    }
}

static void write_name(const struct address *address, unsigned bits, char out[ADDRESS_TEXT_BYTES])
{
    struct address base = *address;
    clear_behind(&base, bits);
    unsigned ahead = address_is_ipv4(&base) ? BITS - V4_BITS : 0; /* it may be around all of IPv4 */
    address_format(&base, out);
    size_t len = strlen(out);
    snprintf(out + len, ADDRESS_TEXT_BYTES - len, "/%u", bits - ahead);
}

void address_block_format(const struct address_block *block, char out[ADDRESS_TEXT_BYTES])
{
    if (block->bits == BITS)
        address_format(&block->base, out);
    else
        write_name(&block->base, block->bits, out);
}

bool address_block_has_name(const struct address_block *block)
{
    unsigned bits = block->bits;
    if (address_is_ipv4(&block->base) && bits >= BITS - V4_BITS)
        return bits >= BITS - V4_BITS + ADDRESS_V4_SHORTEST;
    return bits == BITS || (bits >= ADDRESS_V6_SHORTEST && bits <= ADDRESS_V6_LONGEST);
}

size_t address_names(const struct address *address,
                     char out[ADDRESS_NAMES_MOST][ADDRESS_TEXT_BYTES])
{
    bool v4 = address_is_ipv4(address);
    unsigned ahead = v4 ? BITS - V4_BITS : 0;
    unsigned longest = v4 ? V4_BITS : ADDRESS_V6_LONGEST;
    unsigned shortest = v4 ? ADDRESS_V4_SHORTEST : ADDRESS_V6_SHORTEST;
    size_t count = 0;
    if (address->local_socket)
        return 0;
    address_format(address, out[count++]);
    if (!v4)
        write_name(address, BITS, out[count++]);
    for (unsigned bits = longest; bits >= shortest; bits--)
        write_name(address, ahead + bits, out[count++]);
    assert(count <= ADDRESS_NAMES_MOST);
    return count;
}
