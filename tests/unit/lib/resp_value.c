#include "unit.h"

#include "resp_value.h"

#include <event2/buffer.h>

void resp_add_bulk(struct evbuffer *out, const void *data, size_t len)
{
    evbuffer_add_printf(out, "$%zu\r\n", len);
    evbuffer_add(out, data, len);
    evbuffer_add(out, "\r\n", 2);
}

static const char *add_array(struct evbuffer *out, const char *at)
{
    struct evbuffer *items = evbuffer_new();
    size_t count = 0;
    for (at += strspn(at, " "); *at != ']'; count++) {
        at = resp_add_value(items, at);
        at += strspn(at, ", ");
    }
    evbuffer_add_printf(out, "*%zu\r\n", count);
    evbuffer_add_buffer(out, items);
    evbuffer_free(items);
    return at + 1;
}

const char *resp_add_value(struct evbuffer *out, const char *at)
{
    const char *end = at + strlen(at);
    if (*at == '[')
        return add_array(out, at + 1);
    if (*at == '+' || (*at == '-' && (at[1] < '0' || at[1] > '9'))) {
        evbuffer_add_printf(out, "%s\r\n", at);
        return end;
    }
    if (strncmp(at, "null", 4) == 0) {
        evbuffer_add_printf(out, "$-1\r\n");
        return at + 4;
    }
    if (*at == '\'' || *at == '"') {
        end = strchr(at + 1, *at);
        assert_non_null(end);
        resp_add_bulk(out, at + 1, (size_t)(end - at) - 1);
        return end + 1;
    }
    size_t len = strspn(at, "-0123456789");
    assert_true(len > 0); /* else it is no value */
    evbuffer_add_printf(out, ":%.*s\r\n", (int)len, at);
    return at + len;
}
