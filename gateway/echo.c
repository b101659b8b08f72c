#include "echo.h"

#include "memory.h"

#include <stdlib.h>

struct echo {
    struct connection *connection;
};

static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    struct echo *echo = owner;
    connection_send(echo->connection, text ? FRAME_TEXT : FRAME_BINARY, data, len);
}

static void on_closed(void *owner, uint16_t code)
{
    (void)code;
    free(owner);
}

struct connection *echo_open(struct connections *all, int fd)
{
    static const struct connection_callbacks callbacks = {on_message, on_closed};
    struct echo *echo = memory_new(sizeof *echo);
    echo->connection = connection_new(all, fd, &callbacks, echo);
    return echo->connection;
}
