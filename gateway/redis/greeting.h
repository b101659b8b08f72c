/* greeting: what is sent over a new connection before anything else. Part of `redis`.
 * redis_connection_ask_server (connection.h) is here, too. */
#ifndef YUKIZURI_REDIS_GREETING_H
#define YUKIZURI_REDIS_GREETING_H

struct redis_connection;

/* Sends AUTH, SELECT, INFO, CLIENT SETNAME, PING, and ROLE to what has to be a master: the answer
 * to the last one makes the connection ready (redis_connection_become_ready), a refusal ends it
 * (redis_connection_lose). */
void greeting_send(struct redis_connection *redis);

#endif
