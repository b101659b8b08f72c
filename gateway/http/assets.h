/* assets: the page's files, built into the binary (generated from templates/ by cmake/embed.c). */
#ifndef YUKIZURI_HTTP_ASSETS_H
#define YUKIZURI_HTTP_ASSETS_H

#include <stddef.h>

struct asset {
    const char *name; /* "app.js" */
    const char *path; /* "/assets/app.HASH.js" */
    const char *type;
    const unsigned char *data;
    size_t len;
    const unsigned char *gzip;
    size_t gzip_len;
};

extern const struct asset assets[];
extern const size_t assets_count;

#endif
