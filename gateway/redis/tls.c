#include "redis/tls.h"

#include "base/memory.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct redis_tls {
    SSL_CTX *context;
};

/* Whose certificate is wanted. RFC 6066, section 3: an address is no server name. */
static bool name_peer(SSL *ssl, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *new_ssl(const struct redis_tls *tls, const char *host)
{
    SSL *ssl = SSL_new(tls->context);
    if (ssl != NULL && name_peer(ssl, host))
        return ssl;
    SSL_free(ssl);
    return NULL;
}

static bool prepare(struct redis_tls *tls, const char *host)
{
    tls->context = SSL_CTX_new(TLS_client_method());
    if (tls->context == NULL || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_default_verify_paths(tls->context) != 1) /* honours SSL_CERT_FILE */
        return false;
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL *ssl = new_ssl(tls, host); /* what would fail for each connection fails now */
    SSL_free(ssl);
    return ssl != NULL;
}

struct redis_tls *redis_tls_new(const char *host, char *error, size_t error_size)
{
    struct redis_tls *tls = memory_new(sizeof *tls);
    ERR_clear_error();
    if (prepare(tls, host))
        return tls;
    const char *why = ERR_reason_error_string(ERR_get_error());
    snprintf(error, error_size,
             "redis: TLS cannot be had (OpenSSL: %s); look at OPENSSL_CONF, SSL_CERT_FILE and the "
             "host's name",
             why == NULL ? "no reason given" : why);
    redis_tls_free(tls);
    return NULL;
}

void redis_tls_free(struct redis_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

struct bufferevent *redis_tls_stream(const struct redis_tls *tls, const char *host,
                                     struct event_base *base)
{
    SSL *ssl = new_ssl(tls, host);
    if (ssl == NULL)
        return NULL;
    return bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                          BEV_OPT_CLOSE_ON_FREE);
}

/* What answers in another way than TLS does is taken for a strange version of it. */
static const char *advise_on_tls(int reason)
{
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
        return "; what listens there speaks no TLS: write \"redis\" for \"rediss\" in the URL, or "
               "name the port that does";
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return "; the certificate must name the URL's host, and SSL_CERT_FILE its authority";
    default:
        return "";
    }
}

bool redis_tls_describe(struct bufferevent *stream, char *out, size_t size)
{
    unsigned long error = bufferevent_get_openssl_error(stream);
    int reason = ERR_GET_REASON(error);
    const char *text = ERR_reason_error_string(error);
    const SSL *ssl = bufferevent_openssl_get_ssl(stream);
    long verified = ssl == NULL ? X509_V_OK : SSL_get_verify_result(ssl);
    if (error == 0)
        return false;
    snprintf(out, size, "TLS: %s%s%s%s%s", text == NULL ? "no reason given" : text,
             verified == X509_V_OK ? "" : " (",
             verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified),
             verified == X509_V_OK ? "" : ")", advise_on_tls(reason));
    return true;
}
