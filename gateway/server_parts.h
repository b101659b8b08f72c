/* server_parts: what a server is made of: makes the parts, each with those below it, and passes on
 * what they say to each other. Part of `server`, which owns and frees them. */
#ifndef YUKIZURI_SERVER_PARTS_H
#define YUKIZURI_SERVER_PARTS_H

#include <stddef.h>

struct server;

/* 0; or -1 with a sentence in `error`: the parts that were made are there to be freed. */
int server_parts_make(struct server *server, char *error, size_t error_size);

#endif
