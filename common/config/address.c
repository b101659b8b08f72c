#include "config/address.h"

#include "base/digest.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static const char word_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static int parse_bare(const char *text, struct address *out)
{
    struct address address = {0};
    if (inet_pton(AF_INET, text, address.bytes + 12) == 1)
        memcpy(address.bytes, v4_prefix, sizeof v4_prefix);
    else if (inet_pton(AF_INET6, text, address.bytes) != 1)
        return -1;
    *out = address;
    return 0;
}

/* A number, or a word in its place that hides it (RFC 7239 section 6.3). */
static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (text[0] == '_')
        return text[1] != '\0' && text[1 + strspn(text + 1, word_characters)] == '\0';
    return digits > 0 && digits <= 5 && text[digits] == '\0';
}

/* Cuts the zone off "fe80::1%eth0" (RFC 4007 section 11): it says something on the machine alone
 * that wrote it. False when there is none behind the '%'. */
static bool cut_zone(char *bare)
{
    char *zone = strchr(bare, '%');
    if (zone == NULL)
        return true;
    if (strchr(bare, ':') == NULL || zone[1] == '\0' ||
        zone[1 + strspn(zone + 1, word_characters)] != '\0')
        return false;
    *zone = '\0';
    return true;
}

/* Cuts a port off "192.0.2.1:80" and "[::1]:80", and the brackets. */
static char *without_port(char *text)
{
    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && (end[1] != ':' || !is_port(end + 2))))
            return NULL;
        *end = '\0';
        return text + 1;
    }
    char *colon = strchr(text, ':');
    if (colon == NULL || strchr(colon + 1, ':') != NULL)
        return text;
    *colon = '\0';
    return is_port(colon + 1) ? text : NULL;
}

int address_parse(const char *text, size_t len, struct address *out)
{
    char copy[ADDRESS_TEXT_BYTES];
    while (len > 0 && (text[0] == ' ' || text[0] == '\t'))
        text++, len--;
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    if (len == 0 || len >= sizeof copy)
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *bare = without_port(copy);
    return bare == NULL || !cut_zone(bare) ? -1 : parse_bare(bare, out);
}

int address_block_parse(const char *text, struct address_block *out)
{
    char copy[ADDRESS_TEXT_BYTES];
    size_t len = strlen(text);
    if (len >= sizeof copy)
        return -1;
    memcpy(copy, text, len + 1);
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash++ = '\0';
    struct address base;
    if (parse_bare(copy, &base) != 0)
        return -1;
    unsigned longest = strchr(copy, ':') == NULL ? 32 : 128; /* of ::ffff:10.0.0.0/104 as well */
    unsigned long bits = longest;
    if (slash != NULL) {
        char *end;
        if (slash[0] < '0' || slash[0] > '9')
            return -1;
        bits = strtoul(slash, &end, 10);
        if (*end != '\0' || end > slash + 3 || bits > longest)
            return -1;
    }
    *out = (struct address_block){.base = base, .bits = (unsigned)bits + (128 - longest)};
    return 0;
}

struct address address_of_peer(const struct sockaddr *peer)
{
    struct address address = {0};
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, peer, sizeof v4);
        memcpy(address.bytes, v4_prefix, sizeof v4_prefix);
        memcpy(address.bytes + 12, &v4.sin_addr, 4);
    } else if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, peer, sizeof v6);
        memcpy(address.bytes, &v6.sin6_addr, 16);
    } else {
        address.local_socket = true;
    }
    return address;
}

bool address_in_block(const struct address *address, const struct address_block *block)
{
    if (address->local_socket)
        return false;
    unsigned whole = block->bits / 8;
    unsigned partial = block->bits % 8;
    if (memcmp(address->bytes, block->base.bytes, whole) != 0)
        return false;
    if (partial == 0)
        return true;
    uint8_t mask = (uint8_t)(0xff << (8 - partial));
    return (address->bytes[whole] & mask) == (block->base.bytes[whole] & mask);
}

bool address_in_blocks(const struct address *address, const struct address_block *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (address_in_block(address, &blocks[i]))
            return true;
    return false;
}

bool address_is_ipv4(const struct address *address)
{
    return !address->local_socket && memcmp(address->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

bool address_is_loopback(const struct address *address)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    if (address->local_socket)
        return true;
    if (address_is_ipv4(address))
        return address->bytes[12] == 127;
    return memcmp(address->bytes, v6_loopback, sizeof v6_loopback) == 0;
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_BYTES])
{
    if (address->local_socket)
        memcpy(out, "local", sizeof "local");
    else if (address_is_ipv4(address))
        inet_ntop(AF_INET, address->bytes + 12, out, ADDRESS_TEXT_BYTES);
    else
        inet_ntop(AF_INET6, address->bytes, out, ADDRESS_TEXT_BYTES);
}

static void mask(const struct address *address, char out[ADDRESS_TEXT_BYTES])
{
    struct address network = *address;
    if (address_is_ipv4(address)) {
        address_format(address, out);
        memcpy(strrchr(out, '.'), ".x", sizeof ".x");
        return;
    }
    memset(network.bytes + 6, 0, 10);
    address_format(&network, out);
    memcpy(out + strlen(out), "/48", sizeof "/48");
}

/* Short enough that thousands of addresses have the same mark. */
enum { MARK_RAW_BYTES = 2, CLOAK_RAW_BYTES = 6 };

enum { PURPOSE_MARK = -1 }; /* no day is so early */

/* `len` bytes of a word for each `purpose`: nobody who sees two of them can tell that they are of
 * one address. */
static void hash_with_key(const struct address *address, const uint8_t key[32], int64_t purpose,
                          size_t len, char *out)
{
    uint8_t input[sizeof address->bytes + sizeof purpose];
    uint8_t hash[DIGEST_SHA256_BYTES];
    memcpy(input, address->bytes, sizeof address->bytes);
    memcpy(input + sizeof address->bytes, &purpose, sizeof purpose);
    digest_hmac(key, input, sizeof input, hash);
    digest_base64url(hash, len, out);
}

void address_mark(const struct address *address, const uint8_t key[32],
                  char out[ADDRESS_MARK_BYTES])
{
    struct address unit = address_unit(address);
    if (address->local_socket)
        out[0] = '\0';
    else
        hash_with_key(&unit, key, PURPOSE_MARK, MARK_RAW_BYTES, out);
}

void address_display(const struct address *address, enum address_show show, const uint8_t key[32],
                     int64_t day, char out[ADDRESS_TEXT_BYTES])
{
    if (show == ADDRESS_OFF)
        out[0] = '\0';
    else if (show == ADDRESS_FULL || address->local_socket)
        address_format(address, out);
    else if (show == ADDRESS_MASKED)
        mask(address, out);
    else
        hash_with_key(address, key, day, CLOAK_RAW_BYTES, out);
}

struct address address_unit(const struct address *address)
{
    struct address unit = *address;
    if (!unit.local_socket && !address_is_ipv4(&unit))
        memset(unit.bytes + 8, 0, 8);
    return unit;
}
