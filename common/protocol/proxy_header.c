#include "protocol/proxy_header.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

/* --- Version 1: a line of text (section 2.1) --- */

static const char v1_signature[] = "PROXY ";

enum {
    V1_SIGNATURE_BYTES = sizeof v1_signature - 1,
    V1_FIELDS = 5, /* protocol, source, destination, and their ports */
};

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int read_v4(const char *text, uint8_t out[16])
{
    memcpy(out, v4_prefix, sizeof v4_prefix);
    return inet_pton(AF_INET, text, out + sizeof v4_prefix) == 1 ? 0 : -1;
}

static int read_v6(const char *text, uint8_t out[16])
{
    return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
}

/* Decimal, without a zero before it, up to 65535. */
static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
        return false;
    return digits < 5 || strcmp(text, "65535") <= 0;
}

/* Splits at each single blank; false when there are not exactly V1_FIELDS. */
static bool split_fields(char *text, char *fields[V1_FIELDS])
{
    size_t count = 0;
    char *field;
    while ((field = strsep(&text, " ")) != NULL) {
        if (count == V1_FIELDS)
            return false;
        fields[count++] = field;
    }
    return count == V1_FIELDS;
}

/* What stands between the signature and the CRLF. Behind UNKNOWN everything is ignored. */
static int read_v1_fields(char *text, struct proxy_header *out)
{
    char *fields[V1_FIELDS];
    struct proxy_header header = {.source = PROXY_SOURCE_ADDRESS};
    uint8_t destination[16];
    size_t word_len = strcspn(text, " ");
    if (word_len == 7 && memcmp(text, "UNKNOWN", word_len) == 0) {
        *out = (struct proxy_header){.source = PROXY_SOURCE_UNKNOWN};
        return 0;
    }
    if (!split_fields(text, fields))
        return PROXY_HEADER_BAD;
    bool v6 = strcmp(fields[0], "TCP6") == 0;
    int (*const read)(const char *, uint8_t *) = v6 ? read_v6 : read_v4;
    if ((!v6 && strcmp(fields[0], "TCP4") != 0) || read(fields[1], header.address) != 0 ||
        read(fields[2], destination) != 0 || !is_port(fields[3]) || !is_port(fields[4]))
        return PROXY_HEADER_BAD;
    *out = header;
    return 0;
}

/* How many bytes of a line of text there are, without its end. */
static size_t count_printable(const uint8_t *data, size_t len)
{
    size_t count = 0;
    while (count < len && data[count] >= ' ' && data[count] <= '~')
        count++;
    return count;
}

static int parse_v1(const uint8_t *data, size_t len, struct proxy_header *out)
{
    char text[PROXY_HEADER_V1_BYTES];
    size_t most = len < PROXY_HEADER_V1_BYTES ? len : PROXY_HEADER_V1_BYTES;
    size_t line = count_printable(data, most);
    if (line + 2 > PROXY_HEADER_V1_BYTES || (line < most && data[line] != '\r') ||
        (line + 1 < most && data[line + 1] != '\n'))
        return PROXY_HEADER_BAD;
    if (line + 2 > most)
        return 0;
    memcpy(text, data, line);
    text[line] = '\0';
    int error = read_v1_fields(text + V1_SIGNATURE_BYTES, out);
    return error != 0 ? error : (int)line + 2;
}

/* --- Version 2: binary (section 2.2) --- */

static const uint8_t v2_signature[12] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                         '\n', 'Q',  'U',  'I',  'T', '\n'};

enum {
    V2_COMMAND = sizeof v2_signature, /* where it is: version and command, ... */
    V2_FAMILY,                        /* address family and transport, */
    V2_LENGTH,                        /* and the bytes that follow, in network order */
    V2_HEAD_BYTES = V2_LENGTH + 2,

    COMMAND_LOCAL = 0x20,
    COMMAND_PROXY = 0x21,

    FAMILY_UNSPECIFIED = 0x00,
    FAMILY_TCP4 = 0x11,
    FAMILY_TCP6 = 0x21,
    FAMILY_UNIX_STREAM = 0x31,

    TCP4_BYTES = 12, /* two addresses, two ports */
    TCP6_BYTES = 36,
    UNIX_BYTES = 216,
};

/* Of the addresses that come first among the `body` bytes; -1: this is no stream of any family. */
static int count_address_bytes(uint8_t family)
{
    switch (family) {
    case FAMILY_UNSPECIFIED:
        return 0;
    case FAMILY_TCP4:
        return TCP4_BYTES;
    case FAMILY_TCP6:
        return TCP6_BYTES;
    case FAMILY_UNIX_STREAM:
        return UNIX_BYTES;
    default:
        return -1;
    }
}

/* The body is there as a whole. */
static void read_v2_addresses(const uint8_t *data, struct proxy_header *out)
{
    const uint8_t *body = data + V2_HEAD_BYTES;
    *out = (struct proxy_header){.source = PROXY_SOURCE_UNKNOWN};
    if (data[V2_COMMAND] == COMMAND_LOCAL) {
        out->source = PROXY_SOURCE_ITSELF;
    } else if (data[V2_FAMILY] == FAMILY_TCP4) {
        out->source = PROXY_SOURCE_ADDRESS;
        memcpy(out->address, v4_prefix, sizeof v4_prefix);
        memcpy(out->address + sizeof v4_prefix, body, 4);
    } else if (data[V2_FAMILY] == FAMILY_TCP6) {
        out->source = PROXY_SOURCE_ADDRESS;
        memcpy(out->address, body, 16);
    }
}

static int parse_v2(const uint8_t *data, size_t len, struct proxy_header *out)
{
    if (len > V2_COMMAND && data[V2_COMMAND] != COMMAND_LOCAL && data[V2_COMMAND] != COMMAND_PROXY)
        return PROXY_HEADER_BAD;
    bool local = len > V2_COMMAND && data[V2_COMMAND] == COMMAND_LOCAL; /* the rest is skipped */
    int least = len > V2_FAMILY && !local ? count_address_bytes(data[V2_FAMILY]) : 0;
    if (least < 0)
        return PROXY_HEADER_BAD;
    if (len < V2_HEAD_BYTES)
        return 0;
    int body = data[V2_LENGTH] << 8 | data[V2_LENGTH + 1];
    if (body < least || body > PROXY_HEADER_BYTES - V2_HEAD_BYTES)
        return PROXY_HEADER_BAD;
    if (len < V2_HEAD_BYTES + (size_t)body)
        return 0;
    read_v2_addresses(data, out);
    return V2_HEAD_BYTES + body;
}

/* --- Both --- */

static bool begins_as(const uint8_t *data, size_t len, const void *signature, size_t size)
{
    return memcmp(data, signature, len < size ? len : size) == 0;
}

int proxy_header_parse(const uint8_t *data, size_t len, struct proxy_header *out)
{
    if (len == 0)
        return 0;
    if (begins_as(data, len, v2_signature, sizeof v2_signature))
        return parse_v2(data, len, out);
    if (!begins_as(data, len, v1_signature, V1_SIGNATURE_BYTES))
        return PROXY_HEADER_BAD;
    return len < V1_SIGNATURE_BYTES ? 0 : parse_v1(data, len, out);
}
