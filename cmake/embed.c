/* embed: turns the page's files or the Lua scripts into C source on standard output.
 *
 *   embed assets FILE...    struct asset rows: name with content hash, type, plain and gzip bytes
 *   embed scripts FILE...   struct script_source rows: name and text
 *
 * prelude.lua is put before the text of every other script, but for those that begin with
 * "-- alone".
 *
 * In an asset, "./NAME" (with its quotes) becomes the hashed path of the asset NAME, which must be
 * listed before: a file's own hash covers what it refers to. */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct file {
    char name[64];   /* "app.js" */
    char public[96]; /* "/assets/app.0123456789ab.js" */
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
    snprintf(file->public, sizeof file->public, "/assets/%s.%02x%02x%02x%02x%02x%02x.%.8s", stem,
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
    die("unknown type", name);
    return NULL;
}

static void print_assets(struct file *files, int count)
{
    size_t packed_len[64];
    printf("#include \"http/assets.h\"\n\n");
    for (int i = 0; i < count; i++) {
        size_t room = files[i].len + 1024;
        unsigned char *packed = malloc(room);
        packed_len[i] = compress_gzip(&files[i], packed, room);
        print_bytes("plain", i, (const unsigned char *)files[i].data, files[i].len);
        print_bytes("gzip", i, packed, packed_len[i]);
        free(packed);
    }
    printf("const struct asset assets[] = {\n");
    for (int i = 0; i < count; i++)
        printf("    {\"%s\", \"%s\", \"%s\", plain_%d, %zu, gzip_%d, %zu},\n", files[i].name,
               files[i].public, type_of(files[i].name), i, files[i].len, i, packed_len[i]);
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

int main(int argc, char **argv)
{
    static struct file files[64];
    int count = argc - 2;
    if (count < 1 || count > 64)
        die("usage", "embed assets|scripts FILE...");
    for (int i = 0; i < count; i++) {
        read_file(argv[i + 2], &files[i]);
        expand(&files[i], files, i);
        name_by_hash(&files[i]);
    }
    if (strcmp(argv[1], "scripts") == 0)
        print_scripts(files, count);
    else
        print_assets(files, count);
    return 0;
}
