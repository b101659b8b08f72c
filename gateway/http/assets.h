/* assets: the page's files, built into the binary (generated from templates/ by cmake/embed.c). */
#ifndef YUKIZURI_HTTP_ASSETS_H
#define YUKIZURI_HTTP_ASSETS_H

#include <stddef.h>

struct asset_bytes {
    const unsigned char *data;
    size_t len;
};

enum asset_coding { ASSET_PLAIN, ASSET_GZIP, ASSET_BROTLI, ASSET_CODINGS };

struct asset {
    const char *name; /* "app.js", "index.ja.html" */
    const char *path; /* "/assets/app.HASH.js" */
    const char *type;
    struct asset_bytes codings[ASSET_CODINGS];
};

extern const struct asset assets[];
extern const size_t assets_count;

#endif
