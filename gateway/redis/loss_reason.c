#include "redis/loss_reason.h"

#include "redis/connection_internal.h"
#include "redis/resolver.h"
#include "redis/resp_decode.h"
#include "redis/tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Also of redis-sentinel:// and redis-cluster://. */
#define WITH_TLS    "write \"rediss\" for \"redis\" in the URL"
#define WITHOUT_TLS "write \"redis\" for \"rediss\" in the URL"

static const char *advise_on_errno(const struct redis_url *url, int why)
{
    if (why == EMFILE || why == ENFILE)
        return "; no descriptor is free: raise the limit of open files (ulimit -n, LimitNOFILE=)";
    if (why == EACCES && url->scheme == REDIS_UNIX)
        return "; this user may not write to the socket, or not enter its directory";
    if (why == ENOENT && url->scheme == REDIS_UNIX)
        return "; nothing is at that path";
    if (why == ECONNREFUSED)
        return "; nobody listens there";
    return "";
}

void loss_reason_errno(const struct redis_connection *redis, int error, char out[LOSS_REASON_BYTES])
{
    snprintf(out, LOSS_REASON_BYTES, "%s%s", strerror(error),
             advise_on_errno(redis->options.url, error));
}

void loss_reason_unresolved(const struct redis_connection *redis,
                            const struct resolver_answer *answer, char out[LOSS_REASON_BYTES])
{
    const struct redis_url *url = redis->options.url;
    int why = answer->system_error;
    snprintf(out, LOSS_REASON_BYTES, "cannot resolve %.80s: %s%s", url->host,
             why != 0 ? strerror(why) : gai_strerror(answer->error),
             why != 0 ? advise_on_errno(url, why) : "; see /etc/hosts and the name server");
}

static bool has_peer(const struct redis_connection *redis)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int fd = bufferevent_getfd(redis->stream);
    return fd >= 0 && getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

const char *loss_reason_timeout(const struct redis_connection *redis)
{
    if (redis->state != REDIS_CONNECTING)
        return "Redis does not answer, though it took the connection";
    if (redis->resolution != NULL)
        return "nobody answers for the host's name; see the name server";
    if (redis->options.tls != NULL && has_peer(redis))
        return "TLS was tried (rediss), and what listens there does not answer it; if that port "
               "speaks no TLS, " WITHOUT_TLS;
    return "Redis does not answer: nobody takes the connection";
}

void loss_reason_note_first(struct redis_connection *redis)
{
    if (redis->first_len == 0)
        redis->first_len = evbuffer_copyout(bufferevent_get_input(redis->stream), redis->first,
                                            sizeof redis->first);
}

/* A TLS record begins with its type and the version 3 (RFC 8446, section 5.1): this is an alert. */
const char *loss_reason_protocol(const struct redis_connection *redis, int error)
{
    static const uint8_t alert[] = {21, 3};
    if (redis->options.tls == NULL && redis->first_len == (ev_ssize_t)sizeof alert &&
        memcmp(redis->first, alert, sizeof alert) == 0)
        return "what answers there speaks TLS; " WITH_TLS;
    return redis_replies_why(error);
}

static const char *describe_end(const struct redis_connection *redis)
{
    if (redis->state == REDIS_CONNECTING && redis->options.tls != NULL)
        return "TLS was tried (rediss), and the connection was closed; if that port speaks no "
               "TLS, " WITHOUT_TLS;
    if (redis->state == REDIS_GREETING && redis->first_len == 0 && redis->options.tls == NULL)
        return "the connection was closed before Redis said a word; if that port speaks "
               "TLS, " WITH_TLS;
    return "Redis closed the connection";
}

void loss_reason_closed(const struct redis_connection *redis, short events,
                        char out[LOSS_REASON_BYTES])
{
    int why = EVUTIL_SOCKET_ERROR();
    if (redis->options.tls != NULL && redis_tls_describe(redis->stream, out, LOSS_REASON_BYTES))
        return;
    if ((events & BEV_EVENT_ERROR) != 0 && why != 0 && why != ECONNRESET)
        loss_reason_errno(redis, why, out);
    else
        snprintf(out, LOSS_REASON_BYTES, "%s", describe_end(redis));
}
