#include "http/pages.h"

#include "base/memory.h"
#include "base/text.h"
#include "http/assets.h"
#include "protocol/http_field.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LANGUAGES = 2, MOST_PAGES = 16, GZIP_WINDOW = 15 + 16, TAG_BYTES = 96 };

static const char *const languages[LANGUAGES] = {"en", "ja"};

/* What stands in a page for a figure of the settings. */
static const char minutes_word[] = "@minutes@";
static const char keeps_word[] = "@keeps@";

/* A page with the figures of the settings in it. */
struct page {
    const struct asset *asset;
    unsigned long version;                     /* of what is in it, for its entity tag */
    struct asset_bytes codings[ASSET_CODINGS]; /* no brotli */
};

struct pages {
    struct page with_figures[MOST_PAGES];
    size_t count;
};

/* --- Figures in pages --- */

/* The text with each `word` in it replaced. The caller frees it. */
static struct text replace_word(const char *from, size_t len, const char *word, const char *by)
{
    struct text out = TEXT_EMPTY;
    const char *at = from;
    const char *end = at + len;
    const char *found;
    while ((found = memmem(at, (size_t)(end - at), word, strlen(word))) != NULL) {
        text_add(&out, at, (size_t)(found - at));
        text_add(&out, by, strlen(by));
        at = found + strlen(word);
    }
    text_add(&out, at, (size_t)(end - at));
    return out;
}

static struct asset_bytes compress_gzip(const struct asset_bytes *from)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return (struct asset_bytes){0};
    size_t room = deflateBound(&stream, from->len);
    unsigned char *out = memory_new(room);
    stream.next_in = (unsigned char *)from->data;
    stream.avail_in = (unsigned)from->len;
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    return (struct asset_bytes){out, stream.total_out};
}

static void write_page(struct page *page, const struct asset *asset, const struct config *config)
{
    char minutes[24];
    snprintf(minutes, sizeof minutes, "%llu",
             (unsigned long long)(config->retention == 0 ? 1 : (config->retention + 59) / 60));
    const struct asset_bytes *plain = &asset->codings[ASSET_PLAIN];
    struct text half = replace_word((const char *)plain->data, plain->len, minutes_word, minutes);
    struct text text = replace_word(half.data, half.len, keeps_word,
                                    config->logging && config->log_text ? "logs" : "forgets");
    text_done(&half);
    page->asset = asset;
    page->version = crc32(0, (unsigned char *)text.data, (unsigned)text.len);
    page->codings[ASSET_PLAIN] = (struct asset_bytes){(unsigned char *)text.data, text.len};
    page->codings[ASSET_GZIP] = compress_gzip(&page->codings[ASSET_PLAIN]);
}

static bool has_figures(const struct asset *asset)
{
    const struct asset_bytes *plain = &asset->codings[ASSET_PLAIN];
    return strncmp(asset->type, "text/html", 9) == 0 &&
           memmem(plain->data, plain->len, minutes_word, strlen(minutes_word)) != NULL;
}

struct pages *pages_new(const struct config *config)
{
    struct pages *pages = memory_new(sizeof *pages);
    for (size_t i = 0; i < assets_count; i++)
        if (has_figures(&assets[i])) {
            assert(pages->count < MOST_PAGES);
            write_page(&pages->with_figures[pages->count++], &assets[i], config);
        }
    return pages;
}

void pages_free(struct pages *pages)
{
    if (pages == NULL)
        return;
    for (size_t i = 0; i < pages->count; i++) {
        free((void *)pages->with_figures[i].codings[ASSET_PLAIN].data);
        free((void *)pages->with_figures[i].codings[ASSET_GZIP].data);
    }
    free(pages);
}

/* --- Answers --- */

/* By its path, or by its name, which is no path. */
static const struct asset *find_asset(const char *word)
{
    for (size_t i = 0; i < assets_count; i++)
        if (strcmp(assets[i].path, word) == 0 || strcmp(assets[i].name, word) == 0)
            return &assets[i];
    return NULL;
}

/* Is this a coding that makes the file smaller? Pictures are packed already. */
static bool is_smaller(const struct asset_bytes codings[ASSET_CODINGS], enum asset_coding coding)
{
    return codings[coding].len > 0 && codings[coding].len < codings[ASSET_PLAIN].len;
}

static enum asset_coding choose_coding(const struct http_request *request,
                                       const struct asset_bytes codings[ASSET_CODINGS])
{
    if (is_smaller(codings, ASSET_BROTLI) && http_field_prefers_brotli(request))
        return ASSET_BROTLI;
    if (is_smaller(codings, ASSET_GZIP) && http_field_prefers_gzip(request))
        return ASSET_GZIP;
    return ASSET_PLAIN;
}

/* Ends the answer with the file, in the smallest coding that this client likes. */
static void end_with(struct response *response, const char *type,
                     const struct asset_bytes codings[ASSET_CODINGS], enum asset_coding coding)
{
    if (coding == ASSET_BROTLI)
        response_add_headers(response, "Content-Encoding: br\r\n");
    else if (coding == ASSET_GZIP)
        response_add_headers(response, "Content-Encoding: gzip\r\n");
    response_end_static(response, type, codings[coding].data, codings[coding].len);
}

/* Does the client have what has this entity tag (RFC 9110 section 13.1.2)? */
static bool is_there_already(const struct http_request *request, const char *tag)
{
    return http_field_has(request, "If-None-Match", tag) ||
           http_field_has(request, "If-None-Match", tag + strlen("W/"));
}

/* What is asked for anew each time, and comes again only when it has changed. */
static void end_with_checked(struct response *response, const struct http_request *request,
                             const struct page *page, int status, const char *headers)
{
    static const char *const letters[ASSET_CODINGS] = {"", "g", "b"};
    enum asset_coding coding = choose_coding(request, page->codings);
    const char *hash = strchr(page->asset->path + 1, '/') + 1;
    char tag[TAG_BYTES], line[TAG_BYTES + 16];
    int len = snprintf(tag, sizeof tag, "W/\"%s-%lx%s\"", hash, page->version, letters[coding]);
    assert(len < (int)sizeof tag); /* else the hash might be cut, and what is new would seem old */
    (void)len;
    snprintf(line, sizeof line, "ETag: %s\r\n", tag);
    bool known = status == 200 && is_there_already(request, tag);
    response_begin(response, known ? 304 : status);
    response_add_headers(response, "Cache-Control: no-cache\r\n");
    response_add_headers(response, headers);
    response_add_headers(response, line);
    if (known)
        response_end_empty(response);
    else
        end_with(response, page->asset->type, page->codings, coding);
}

/* "lang=ja" as one of the query's parts; NULL where no part is one of these languages. */
static const char *find_language_in_query(const char *query)
{
    for (const char *part = query; part != NULL && *part != '\0';) {
        size_t len = strcspn(part, "&");
        for (size_t i = 0; i < LANGUAGES; i++) {
            char wanted[16];
            snprintf(wanted, sizeof wanted, "lang=%s", languages[i]);
            if (len == strlen(wanted) && strncmp(part, wanted, len) == 0)
                return languages[i];
        }
        part += len + (part[len] == '&');
    }
    return NULL;
}

static const char *language_of(const struct http_request *request)
{
    const char *wanted = find_language_in_query(request->query);
    return wanted != NULL ? wanted : http_field_language(request, languages, LANGUAGES);
}

/* The asset as it is, or with figures. */
static struct page find_page(const struct pages *pages, const struct asset *asset)
{
    assert(asset != NULL); /* built in */
    for (size_t i = 0; i < pages->count; i++)
        if (pages->with_figures[i].asset == asset)
            return pages->with_figures[i];
    struct page page = {.asset = asset};
    memcpy(page.codings, asset->codings, sizeof page.codings);
    return page;
}

static void answer_with_page(const struct pages *pages, const char *name, int status,
                             const struct http_request *request, struct response *response)
{
    char file[64];
    snprintf(file, sizeof file, "%s.%s.html", name, language_of(request));
    struct page page = find_page(pages, find_asset(file));
    static const char policy[] =
        "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
    char headers[sizeof policy + 64];
    snprintf(headers, sizeof headers, "Vary: %sAccept-Encoding, Accept-Language\r\n%s",
             status == 404 ? "Accept, " : "", policy);
    end_with_checked(response, request, &page, status, headers);
}

void pages_answer(const struct pages *pages, const char *name, const struct http_request *request,
                  struct response *response)
{
    answer_with_page(pages, name, 200, request, response);
}

void pages_answer_missing(const struct pages *pages, const struct http_request *request,
                          struct response *response, const char *sentence)
{
    if (http_field_weight(request, "Accept", "text/html") > 0)
        answer_with_page(pages, "missing", 404, request, response);
    else
        response_say(response, 404, sentence);
}

void pages_answer_asset(const struct pages *pages, const struct http_request *request,
                        struct response *response)
{
    const struct asset *found = find_asset(request->path);
    if (found == NULL) {
        pages_answer_missing(pages, request, response, "There is no such file.");
        return;
    }
    response_begin(response, 200);
    response_add_headers(response, "Cache-Control: public, max-age=31536000, immutable\r\n"
                                   "Vary: Accept-Encoding\r\n");
    end_with(response, found->type, found->codings, choose_coding(request, found->codings));
}

void pages_answer_worker(const struct pages *pages, const struct http_request *request,
                         struct response *response)
{
    struct page worker = find_page(pages, find_asset("worker.js"));
    end_with_checked(response, request, &worker, 200, "Vary: Accept-Encoding\r\n");
}
