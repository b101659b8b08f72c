/* embed: turns the page's files or the Lua scripts into C source on standard output.
 *
 *   embed assets FILE...    struct asset rows: name with content hash, type; plain, gzip, brotli
 *   embed scripts FILE...   struct script_source rows: name and text
 *
 * prelude.lua is put before the text of every other script, but for those that begin with
 * "-- alone".
 *
 * A text asset with {{ENGLISH|JAPANESE}} in it becomes two: NAME.en.EXT and NAME.ja.EXT.
 *
 * Scripts and styles lose what browsers do not need: indentation and comments. No text of theirs
 * may go over several lines, or have what looks like a comment in it.
 *
 * In an asset, "./NAME" (with its quotes) becomes the hashed path of the asset NAME, which must be
 * listed before: a file's own hash covers what it refers to. */
#include <brotli/encode.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MOST_FILES = 64 };

struct file {
    char name[64];    /* "app.js" */
    char public[128]; /* "/assets/app.0123456789ab.js" */
    char *data;
    size_t len;
};

static void die(const char *what, const char *path)
{
    fprintf(stderr, "embed: %s: %s\n", what, path);
    exit(1);
}

static void read_file(const char *path, struct file *out)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        die("cannot open", path);
    fseek(in, 0, SEEK_END);
    out->len = (size_t)ftell(in);
    rewind(in);
    out->data = malloc(out->len + 1);
    if (out->data == NULL || fread(out->data, 1, out->len, in) != out->len)
        die("cannot read", path);
    out->data[out->len] = '\0';
    fclose(in);
    const char *slash = strrchr(path, '/');
    snprintf(out->name, sizeof out->name, "%s", slash == NULL ? path : slash + 1);
}

static void name_by_hash(struct file *file)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)file->data, file->len, hash);
    char stem[sizeof file->name];
    memcpy(stem, file->name, sizeof stem);
    char *dot = strrchr(stem, '.');
    *dot = '\0';
    snprintf(file->public, sizeof file->public, "/assets/%s.%02x%02x%02x%02x%02x%02x.%.16s", stem,
             hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], dot + 1);
}

/* The asset whose quoted relative path begins at `at`: "./NAME". NULL when it is none. */
static const struct file *find_reference(const struct file *files, int count, const char *at)
{
    for (int i = 0; i < count; i++) {
        size_t len = strlen(files[i].name);
        if (strncmp(at, "\"./", 3) == 0 && strncmp(at + 3, files[i].name, len) == 0 &&
            at[3 + len] == '"')
            return &files[i];
    }
    return NULL;
}

/* Puts hashed paths in the place of references to the `count` files before this one. */
static void expand(struct file *file, const struct file *files, int count)
{
    char *out = malloc(file->len * 4 + 4096);
    size_t used = 0;
    for (const char *at = file->data; *at != '\0';) {
        const struct file *found = find_reference(files, count, at);
        if (found == NULL) {
            out[used++] = *at++;
            continue;
        }
        used += (size_t)sprintf(out + used, "\"%s\"", found->public);
        at += strlen(found->name) + 4;
    }
    out[used] = '\0';
    file->len = used;
    free(file->data);
    file->data = out;
}

static int is_text(const struct file *file)
{
    return strlen(file->data) == file->len;
}

/* The end of the comment that begins with this line, behind its line feed; NULL when none does. */
static const char *end_of_comment(const char *line)
{
    const char *end = NULL;
    if (strncmp(line, "//", 2) == 0)
        end = strchr(line, '\n');
    else if (strncmp(line, "/*", 2) == 0 && (end = strstr(line + 2, "*/")) != NULL)
        end += 2;
    if (end == NULL || *end != '\n') /* code behind it stays */
        return NULL;
    return end + 1;
}

/* The line's length without a comment behind its code. */
static size_t len_of_code(const char *line, size_t len)
{
    for (size_t i = 1; i + 4 < len; i++)
        if (memcmp(line + i, " // ", 4) == 0 && strchr(";,{(", line[i - 1]) != NULL)
            return i;
    return len;
}

static void strip(struct file *file)
{
    const char *dot = strrchr(file->name, '.');
    if (strcmp(dot, ".js") != 0 && strcmp(dot, ".css") != 0)
        return;
    char *out = file->data;
    for (const char *at = file->data; *at != '\0';) {
        at += strspn(at, " \n");
        const char *end = end_of_comment(at);
        if (end != NULL) {
            at = end;
            continue;
        }
        size_t len = strcspn(at, "\n");
        size_t code = len_of_code(at, len);
        memmove(out, at, code);
        out += code;
        at += len;
        if (*at == '\n')
            *out++ = *at++;
    }
    *out = '\0';
    file->len = (size_t)(out - file->data);
}

/* A copy of the file in which each {{ENGLISH|JAPANESE}} is the word at `which`. */
static struct file translate(const struct file *file, int which, const char *language)
{
    struct file out = {.data = malloc(file->len + 1)};
    const char *dot = strrchr(file->name, '.');
    snprintf(out.name, sizeof out.name, "%.*s.%s%s", (int)(dot - file->name), file->name, language,
             dot);
    for (const char *at = file->data; *at != '\0';) {
        if (strncmp(at, "{{", 2) != 0) {
            out.data[out.len++] = *at++;
            continue;
        }
        const char *bar = strchr(at, '|');
        const char *end = strstr(at, "}}");
        if (bar == NULL || end == NULL || bar > end)
            die("no {{ENGLISH|JAPANESE}}", file->name);
        const char *word = which == 0 ? at + 2 : bar + 1;
        size_t len = (size_t)((which == 0 ? bar : end) - word);
        memcpy(out.data + out.len, word, len);
        out.len += len;
        at = end + 2;
    }
    out.data[out.len] = '\0';
    return out;
}

/* --- What is printed --- */

static size_t compress_gzip(const struct file *file, unsigned char *out, size_t room)
{
    z_stream stream = {0};
    deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
    stream.next_in = (unsigned char *)file->data;
    stream.avail_in = (unsigned)file->len;
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        die("cannot compress", file->name);
    deflateEnd(&stream);
    return stream.total_out;
}

static size_t compress_brotli(const struct file *file, unsigned char *out, size_t room)
{
    if (!BrotliEncoderCompress(BROTLI_MAX_QUALITY, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_TEXT,
                               file->len, (const unsigned char *)file->data, &room, out))
        die("cannot compress", file->name);
    return room;
}

static void print_bytes(const char *kind, int index, const unsigned char *data, size_t len)
{
    printf("static const unsigned char %s_%d[] = {", kind, index);
    for (size_t i = 0; i < len; i++)
        printf("%s%u,", i % 24 == 0 ? "\n    " : "", data[i]);
    printf("\n};\n\n");
}

static const char *type_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (strcmp(dot, ".html") == 0)
        return "text/html; charset=utf-8";
    if (strcmp(dot, ".css") == 0)
        return "text/css; charset=utf-8";
    if (strcmp(dot, ".js") == 0)
        return "text/javascript; charset=utf-8";
    if (strcmp(dot, ".svg") == 0)
        return "image/svg+xml";
    if (strcmp(dot, ".png") == 0)
        return "image/png";
    if (strcmp(dot, ".webmanifest") == 0)
        return "application/manifest+json";
    die("unknown type", name);
    return NULL;
}

static void print_asset(const struct file *file, int index)
{
    size_t room = file->len + 1024;
    unsigned char *packed = malloc(room);
    print_bytes("plain", index, (const unsigned char *)file->data, file->len);
    print_bytes("gzip", index, packed, compress_gzip(file, packed, room));
    print_bytes("brotli", index, packed, compress_brotli(file, packed, room));
    free(packed);
}

static void print_assets(const struct file *files, int count)
{
    printf("#include \"http/assets.h\"\n\n");
    for (int i = 0; i < count; i++)
        print_asset(&files[i], i);
    printf("const struct asset assets[] = {\n");
    for (int i = 0; i < count; i++)
        printf("    {\"%s\", \"%s\", \"%s\", {{plain_%d, sizeof plain_%d}, {gzip_%d, sizeof "
               "gzip_%d}, {brotli_%d, sizeof brotli_%d}}},\n",
               files[i].name, files[i].public, type_of(files[i].name), i, i, i, i, i, i);
    printf("};\n\nconst size_t assets_count = %d;\n", count);
}

static const struct file *find_prelude(const struct file *files, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(files[i].name, "prelude.lua") == 0)
            return &files[i];
    die("missing", "prelude.lua");
    return NULL;
}

static int is_alone(const struct file *file)
{
    static const char word[] = "-- alone";
    return strncmp(file->data, word, sizeof word - 1) == 0;
}

static void prepend(struct file *file, const struct file *before)
{
    char *joined = malloc(before->len + file->len + 1);
    memcpy(joined, before->data, before->len);
    memcpy(joined + before->len, file->data, file->len + 1);
    free(file->data);
    file->data = joined;
    file->len += before->len;
}

static void print_scripts(struct file *files, int count)
{
    const struct file *prelude = find_prelude(files, count);
    printf("#include \"redis/script.h\"\n\n");
    for (int i = 0; i < count; i++) {
        if (&files[i] == prelude)
            continue;
        if (!is_alone(&files[i]))
            prepend(&files[i], prelude);
        print_bytes("text", i, (const unsigned char *)files[i].data, files[i].len);
    }
    printf("const struct script_source script_sources[] = {\n");
    for (int i = 0; i < count; i++)
        if (&files[i] != prelude)
            printf("    {\"%.*s\", (const char *)text_%d, %zu},\n",
                   (int)(strlen(files[i].name) - strlen(".lua")), files[i].name, i, files[i].len);
    printf("};\n\nconst size_t script_sources_count = %d;\n", count - 1);
}

/* --- What is read --- */

/* Adds the file to the `count` before it, as far as it refers to them. Returns how many there are.
 */
static int add(struct file *files, int count, struct file file)
{
    if (count == MOST_FILES)
        die("too many files", file.name);
    if (is_text(&file)) {
        strip(&file);
        expand(&file, files, count);
    }
    name_by_hash(&file);
    files[count] = file;
    return count + 1;
}

static int add_assets(struct file *files, int count, const struct file *file)
{
    if (!is_text(file) || strstr(file->data, "{{") == NULL)
        return add(files, count, *file);
    count = add(files, count, translate(file, 0, "en"));
    count = add(files, count, translate(file, 1, "ja"));
    free(file->data);
    return count;
}

int main(int argc, char **argv)
{
    static struct file files[MOST_FILES];
    int count = 0;
    if (argc < 3)
        die("usage", "embed assets|scripts FILE...");
    int is_scripts = strcmp(argv[1], "scripts") == 0;
    for (int i = 2; i < argc; i++) {
        struct file file;
        read_file(argv[i], &file);
        count = is_scripts ? add(files, count, file) : add_assets(files, count, &file);
    }
    if (is_scripts)
        print_scripts(files, count);
    else
        print_assets(files, count);
    return 0;
}
