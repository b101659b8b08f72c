#include "attack_bytes.h"

#include <assert.h>
#include <string.h>

enum { LONGEST_TEXT = 125 };

static void add(char *out, size_t *len, const char *text)
{
    size_t more = strlen(text);
    assert(*len + more <= ATTACK_BYTES);
    memcpy(out + *len, text, more);
    *len += more;
}

size_t attack_bytes_frame(char out[ATTACK_FRAME_BYTES], const char *text)
{
    size_t len = strlen(text);
    const char head[6] = {(char)0x81, (char)(0x80 | len)};
    assert(len <= LONGEST_TEXT);
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, text, len);
    return sizeof head + len;
}

static void add_frame(char *out, size_t *len, const char *text)
{
    assert(*len + ATTACK_FRAME_BYTES <= ATTACK_BYTES);
    *len += attack_bytes_frame(out + *len, text);
}

static void add_handshakes(char *out, size_t *len, int count)
{
    for (int i = 0; i < count; i++)
        add(out, len,
            "GET /room/hostile0 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
}

static void add_lines(char *out, size_t *len, int count)
{
    for (int i = 0; i < count; i++)
        add_frame(out, len, "{\"type\":\"say\",\"text\":\"hello\",\"nonce\":\"0123456789abcdef\"}");
}

static void make_handshake(struct attack_bytes *bytes)
{
    add_handshakes(bytes->first, &bytes->first_len, 1);
    bytes->room_at = bytes->first + strlen("GET /room/hostile");
}

static void make_heads(struct attack_bytes *bytes)
{
    add(bytes->first, &bytes->first_len, "GET / HTTP/1.1\r\nHost: a\r\nA: ");
    memset(bytes->first + bytes->first_len, 'a', ATTACK_HEAD - bytes->first_len);
    bytes->first_len = ATTACK_HEAD;
    add(bytes->rest, &bytes->rest_len, "a");
}

static void make_loud(struct attack_bytes *bytes)
{
    make_handshake(bytes);
    add_lines(bytes->rest, &bytes->rest_len, ATTACK_LOUD_LINES);
}

/* Whoever does not wait for the answers sends more. */
static void make_says(struct attack_bytes *bytes)
{
    static const char name[] = "0000\"}";
    make_handshake(bytes);
    add_frame(bytes->first, &bytes->first_len, "{\"type\":\"join\",\"name\":\"0000\"}");
    bytes->name_at = bytes->first + bytes->first_len - strlen(name);
    add_lines(bytes->first, &bytes->first_len, ATTACK_SAY_LINES);
    add_lines(bytes->rest, &bytes->rest_len, ATTACK_SAY_LINES);
}

static void make_pipelined(struct attack_bytes *bytes)
{
    add_handshakes(bytes->first, &bytes->first_len, ATTACK_HANDSHAKES);
    add_handshakes(bytes->rest, &bytes->rest_len, ATTACK_HANDSHAKES);
}

bool attack_bytes_make(struct attack_bytes *bytes, const char *attack)
{
    static const struct {
        const char *name;
        void (*make)(struct attack_bytes *bytes);
    } attacks[] = {
        {"heads", make_heads}, {"deaf", make_handshake},       {"deaf-loud", make_loud},
        {"says", make_says},   {"handshakes", make_handshake}, {"pipelined", make_pipelined},
    };
    *bytes = (struct attack_bytes){0};
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        if (strcmp(attack, attacks[i].name) != 0)
            continue;
        attacks[i].make(bytes);
        return true;
    }
    return false;
}

static void write_number(char *at, int digits, int number)
{
    for (; at != NULL && digits-- > 0; number /= 10)
        at[digits] = (char)('0' + number % 10);
}

void attack_bytes_set_number(const struct attack_bytes *bytes, int number)
{
    write_number(bytes->room_at, 1, number);
    write_number(bytes->name_at, 4, number);
}
