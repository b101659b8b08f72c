#include "unit.h"

#include "protocol/proxy_header.h"

#include <arpa/inet.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* A header of version 2 up to its addresses: a command, a family, and how many bytes follow. */
#define V2(command, family, len) SIGNATURE command family len

#define TCP4_ADDRESSES "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x67\x00\x50"

struct bytes {
    const char *data;
    size_t len;
};

#define BYTES(literal) ((struct bytes){literal, sizeof(literal) - 1})

static int parse(struct bytes bytes, size_t len, struct proxy_header *out)
{
    char *exact = malloc(len > 0 ? len : 1); /* so that a byte read too many is found */
    memcpy(exact, bytes.data, len);
    int result = proxy_header_parse((const uint8_t *)exact, len, out);
    free(exact);
    return result;
}

static void format(const struct proxy_header *header, char out[INET6_ADDRSTRLEN])
{
    static const char *const words[] = {
        [PROXY_SOURCE_ITSELF] = "itself", [PROXY_SOURCE_UNKNOWN] = "unknown"};
    if (header->source == PROXY_SOURCE_ADDRESS)
        inet_ntop(AF_INET6, header->address, out, INET6_ADDRSTRLEN);
    else
        strcpy(out, words[header->source]);
}

/* Each beginning needs more bytes; whatever follows the header is not its own. */
static void assert_reads(struct bytes bytes, const char *expected)
{
    struct proxy_header header;
    char got[INET6_ADDRSTRLEN];
    char followed[PROXY_HEADER_BYTES + 200];
    for (size_t len = 0; len < bytes.len; len++)
        if (parse(bytes, len, &header) != 0)
            fail_msg("cut at %zu of %zu: %d", len, bytes.len, parse(bytes, len, &header));
    assert_int_equal(parse(bytes, bytes.len, &header), bytes.len);
    format(&header, got);
    assert_string_equal(got, expected);
    memcpy(followed, bytes.data, bytes.len);
    memset(followed + bytes.len, 'G', 200);
    assert_int_equal(parse((struct bytes){followed, bytes.len + 200}, bytes.len + 200, &header),
                     bytes.len);
}

/* It is refused at the byte `at` and not before it, and `out` is left alone. */
static void assert_refuses(struct bytes bytes, size_t at)
{
    const struct proxy_header untouched = {.source = PROXY_SOURCE_UNKNOWN, .address = {7}};
    struct proxy_header header = untouched;
    for (size_t len = 0; len <= bytes.len; len++) {
        int got = parse(bytes, len, &header);
        if (got != (len > at ? PROXY_HEADER_BAD : 0))
            fail_msg("\"%s\" cut at %zu: %d", bytes.data, len, got);
    }
    assert_memory_equal(&header, &untouched, sizeof header);
}

/* It is refused with its last byte. */
static void assert_refuses_line(const char *line)
{
    assert_refuses((struct bytes){line, strlen(line)}, strlen(line) - 1);
}

/* --- Version 1 --- */

static void test_v1_names_the_client(void **state)
{
    (void)state;
    assert_reads(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"), "::ffff:192.0.2.1");
    assert_reads(BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
                 "::ffff:255.255.255.255");
    assert_reads(BYTES("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"), "2001:db8::1");
    assert_reads(BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_reads(BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), "::ffff:192.0.2.1");
}

static void test_v1_may_know_nothing_of_the_client(void **state)
{
    (void)state;
    assert_reads(BYTES("PROXY UNKNOWN\r\n"), "unknown");
    assert_reads(BYTES("PROXY UNKNOWN whatever it says\r\n"), "unknown");
    assert_reads(BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                 "unknown"); /* 107 bytes, the longest */
}

static void test_v1_is_a_line_of_that_form_and_no_other(void **state)
{
    static const char *const lines[] = {
        "PROXY \r\n",
        "PROXY  TCP4 192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80 90\r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.2 4711 80\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.2 4711 80\r\n",
        "PROXY TCP4 192.0.2.1 junk 4711 80\r\n",
        "PROXY TCP4 ::1 ::1 4711 80\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 4711 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 65536 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 080\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 -1 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 123456\r\n",
        "PROXY TCP5 192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNIX /a /b\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_refuses_line(lines[i]);
}

static void test_v1_is_refused_at_the_first_byte_that_is_wrong(void **state)
{
    char longest[200];
    (void)state;
    assert_refuses(BYTES("GET / HTTP/1.1\r\n"), 0);
    assert_refuses(BYTES("PROXX TCP4"), 4);
    assert_refuses(BYTES("proxy TCP4"), 0);
    assert_refuses(BYTES("PROXY\r\n"), 5);
    assert_refuses(BYTES("PROXY UNKNOWN\n"), 13);
    assert_refuses(BYTES("PROXY UNKNOWN\rx"), 14);
    assert_refuses(BYTES("PROXY TCP4 \0 x"), 11);
    assert_refuses(BYTES("PROXY TCP4\t192.0.2.1"), 10);
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "PROXY UNKNOWN ", 14);
    assert_refuses((struct bytes){longest, sizeof longest}, PROXY_HEADER_V1_BYTES - 2);
}

/* --- Version 2 --- */

static void test_v2_names_the_client(void **state)
{
    (void)state;
    assert_reads(BYTES(V2("\x21", "\x11", "\x00\x0c") TCP4_ADDRESSES), "::ffff:192.0.2.1");
    assert_reads(BYTES(V2("\x21", "\x21", "\x00\x24") "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                                                      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                                                      "\x12\x67\x00\x50"),
                 "2001:db8::7");
    assert_reads(BYTES(V2("\x21", "\x11", "\x00\x13") TCP4_ADDRESSES "\x04\x00\x04\0\0\0\0"),
                 "::ffff:192.0.2.1"); /* a TLV behind */
}

static void test_v2_may_name_nobody(void **state)
{
    char path[16 + 216] = V2("\x21", "\x31", "\x00\xd8") "/run/client";
    (void)state;
    assert_reads(BYTES(V2("\x20", "\x00", "\x00\x00")), "itself");
    assert_reads(BYTES(V2("\x20", "\x11", "\x00\x0c") TCP4_ADDRESSES), "itself");
    assert_reads(BYTES(V2("\x20", "\xff", "\x00\x02") "xx"), "itself"); /* the rest is ignored */
    assert_reads(BYTES(V2("\x21", "\x00", "\x00\x00")), "unknown");
    assert_reads(BYTES(V2("\x21", "\x00", "\x00\x05") "abcde"), "unknown");
    assert_reads((struct bytes){path, sizeof path}, "unknown");
}

static void test_v2_is_at_most_so_long(void **state)
{
    char longest[PROXY_HEADER_BYTES] = V2("\x21", "\x11", "\x02\x08") TCP4_ADDRESSES;
    char longer[PROXY_HEADER_BYTES + 1] = V2("\x21", "\x11", "\x02\x09") TCP4_ADDRESSES;
    (void)state;
    assert_reads((struct bytes){longest, sizeof longest}, "::ffff:192.0.2.1");
    assert_refuses((struct bytes){longer, sizeof longer}, 15);
    assert_refuses(BYTES(V2("\x21", "\x11", "\xff\xff")), 15);
    assert_refuses(BYTES(V2("\x20", "\x00", "\xff\xff")), 15);
}

static void test_v2_is_refused_at_the_first_byte_that_is_wrong(void **state)
{
    (void)state;
    assert_refuses(BYTES("\r\nGET"), 2);
    assert_refuses(BYTES("\r\n\r\n\0\r\nQUIT\r\x21"), 11);
    assert_refuses(BYTES(V2("\x11", "\x11", "\x00\x0c")), 12);
    assert_refuses(BYTES(V2("\x22", "\x11", "\x00\x0c")), 12);
    assert_refuses(BYTES(V2("\x31", "\x11", "\x00\x0c")), 12);
    assert_refuses(BYTES(V2("\x21", "\x12", "\x00\x0c")), 13); /* datagrams */
    assert_refuses(BYTES(V2("\x21", "\x10", "\x00\x0c")), 13);
    assert_refuses(BYTES(V2("\x21", "\x41", "\x00\x0c")), 13);
    assert_refuses(BYTES(V2("\x21", "\x11", "\x00\x0b")), 15); /* too short for two addresses */
    assert_refuses(BYTES(V2("\x21", "\x21", "\x00\x23")), 15);
    assert_refuses(BYTES(V2("\x21", "\x31", "\x00\xd7")), 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1_names_the_client),
        cmocka_unit_test(test_v1_may_know_nothing_of_the_client),
        cmocka_unit_test(test_v1_is_a_line_of_that_form_and_no_other),
        cmocka_unit_test(test_v1_is_refused_at_the_first_byte_that_is_wrong),
        cmocka_unit_test(test_v2_names_the_client),
        cmocka_unit_test(test_v2_may_name_nobody),
        cmocka_unit_test(test_v2_is_at_most_so_long),
        cmocka_unit_test(test_v2_is_refused_at_the_first_byte_that_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
