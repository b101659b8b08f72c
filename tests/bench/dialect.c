#include "dialect.h"

#include <string.h>

static const struct dialect dialects[] = {
    {
        .name = "yukizuri",
        .path = "/room/%s",
        .headers = "",
        .hello = "{\"type\":\"join\",\"name\":\"m%d\"}",
        .welcome = "{\"type\":\"welcome\"",
        .again = "{\"type\":\"error\",\"code\":\"unavailable\"",
        .refusal = "{\"type\":\"error\"",
        .before = "{\"type\":\"say\",\"text\":\"",
        .after = "\"}",
        .leave = "{\"type\":\"leave\"}",
    },
    {
        /* whatever comes is sent to all as it is: the floor, ws, nchan */
        .name = "relay",
        .path = "/room/%s",
        .headers = "",
        .before = "{\"type\":\"message\",\"text\":\"",
        .after = "\"}",
        .relays = true,
    },
    {
        /* Engine.IO 4 and Socket.IO 5: 0 open, 40 connect, 42 event, 2 ping, 3 pong */
        .name = "socketio",
        .path = "/socket.io/?EIO=4&transport=websocket&room=%s",
        .headers = "",
        .greeting = "0{",
        .hello = "40",
        .welcome = "40{",
        .before = "42[\"say\",\"",
        .after = "\"]",
        .ask = "2",
        .answer = "3",
        .relays = true,
    },
    {
        .name = "nats",
        .path = "/?room=%s",
        .headers = "",
        .binary = true,
        .packs = true,
        .greeting = "INFO ",
        .hello = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB %s 1\r\nPING\r\n",
        .welcome = "PONG",
        .before = "PUB %s ",
        .after_length = "\r\n",
        .after = "\r\n",
        .ask = "PING\r\n",
        .answer = "PONG\r\n",
        .relays = true,
    },
};

const struct dialect *dialect_find(const char *name)
{
    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++)
        if (strcmp(dialects[i].name, name) == 0)
            return &dialects[i];
    return NULL;
}
