#include "websocket/echo.h"

#include "websocket/connections.h"
#include "websocket/output.h"

static void send_back(void *owner, bool text, const uint8_t *data, size_t len)
{
    struct connection *connection = owner;
    connection_send(connection, text ? FRAME_TEXT : FRAME_BINARY, data, len);
}

static void ignore_closed(void *owner, const struct connection_end *end)
{
    (void)owner;
    (void)end;
}

struct connection *echo_open(struct connections *all, int fd)
{
    static const struct connection_callbacks callbacks = {send_back, NULL, ignore_closed, NULL};
    struct connection *connection = connection_new(all, fd, &callbacks, NULL);
    connection_set_owner(connection, connection); /* it is its own */
    return connection;
}
