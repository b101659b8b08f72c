/* client: a browser's end of a WebSocket (RFC 6455), in the test's own loop (virtual_time.h). The
 * other end is a socket that a gateway's connection can take over. Knows frames and JSON, and
 * nothing of what the messages mean.
 *
 * What does not come as it should fails the test, and says what came. */
#ifndef YUKIZURI_UNIT_CLIENT_H
#define YUKIZURI_UNIT_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

struct client;

/* The gateway's end is put into `gateway_fd`, and is the caller's. */
struct client *client_new(int *gateway_fd);

/* Closes the socket, should it be open, and frees it. NULL is fine. */
void client_free(struct client *client);

/* Sends one text frame. Nothing of it has been read when this returns. */
void client_send(struct client *client, const char *json);

/* Sends a close frame (section 5.5.1), or cuts the socket without a word. */
void client_close(struct client *client, unsigned code);
void client_cut(struct client *client);

/* Lets time pass until the next message is there, which is of this type: its JSON, the client's,
 * good until the next call. */
const json_t *client_expect(struct client *client, const char *type);

/* The same; messages of other types that come before it are dropped. */
const json_t *client_await(struct client *client, const char *type);

/* An `error` with this code is the next message. */
const json_t *client_expect_error(struct client *client, const char *code);

/* Nothing has come, when all has settled, and the connection is open. */
void client_expect_silence(struct client *client);

/* The gateway ends the connection: the code of its close frame, 1006 where there was none. Messages
 * before it are dropped. */
unsigned client_await_end(struct client *client);

/* Drops what has come so far. */
void client_forget(struct client *client);

/* A field of such a message; of another type, or missing, fails the test. */
const char *client_text(const json_t *message, const char *field);
long long client_number(const json_t *message, const char *field);
bool client_flag(const json_t *message, const char *field);

/* The names that this list of persons has, each followed by a space. Valid until the next call. */
const char *client_names(const json_t *message, const char *field);

#endif
