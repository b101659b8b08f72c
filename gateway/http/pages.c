#include "http/pages.h"

#include "http/assets.h"
#include "protocol/http_field.h"

#include <string.h>

static const struct asset *find_asset(const char *path_or_name)
{
    for (size_t i = 0; i < assets_count; i++)
        if (strcmp(assets[i].path, path_or_name) == 0 || strcmp(assets[i].name, path_or_name) == 0)
            return &assets[i];
    return NULL;
}

/* Ends the answer with the file, in the coding that this client prefers. */
static void end_with(struct response *response, const struct http_request *request,
                     const struct asset *asset)
{
    response_add_headers(response, "Vary: Accept-Encoding\r\n");
    if (http_field_prefers_gzip(request)) {
        response_add_headers(response, "Content-Encoding: gzip\r\n");
        response_end_static(response, asset->type, asset->gzip, asset->gzip_len);
    } else {
        response_end_static(response, asset->type, asset->data, asset->len);
    }
}

void pages_answer_index(const struct http_request *request, struct response *response)
{
    response_begin(response, 200);
    response_add_headers(
        response, "Cache-Control: no-cache\r\n"
                  "Content-Security-Policy: default-src 'none'; script-src 'self'; "
                  "style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; "
                  "form-action 'none'; frame-ancestors 'none'\r\n");
    end_with(response, request, find_asset("index.html"));
}

void pages_answer_asset(const struct http_request *request, struct response *response)
{
    const struct asset *found = find_asset(request->path);
    if (found == NULL) {
        response_say(response, 404, "There is no such file.");
        return;
    }
    response_begin(response, 200);
    response_add_headers(response, "Cache-Control: public, max-age=31536000, immutable\r\n");
    end_with(response, request, found);
}
