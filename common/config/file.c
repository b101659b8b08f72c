/* The file of settings: lines "SETTING = VALUE". White space at both ends counts for nothing; a
 * value may be in quotes, single or double; a '#' that begins a line, or follows white space
 * outside quotes, begins a comment. */
#include "config/internal.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 262144 };

static const char blanks[] = " \t\r";

static char *trim(char *text)
{
    text += strspn(text, blanks);
    size_t len = strlen(text);
    while (len > 0 && strchr(blanks, text[len - 1]) != NULL)
        text[--len] = '\0';
    return text;
}

/* A comment needs a blank before it: "room=a#b" has none. */
static void cut_comment(char *text)
{
    for (char *at = strchr(text, '#'); at != NULL; at = strchr(at + 1, '#'))
        if (at == text || strchr(blanks, at[-1]) != NULL) {
            *at = '\0';
            return;
        }
}

/* What stands between quotes, as it is. */
static int unquote(struct config_loader *loader, const struct config_row *row, char **value)
{
    char quote[] = {**value, '\0'};
    char *start = *value + 1;
    char *end = strchr(start, quote[0]);
    if (end == NULL)
        return config_fail(loader, row, "the quote %s is not closed", quote);
    const char *rest = end + 1 + strspn(end + 1, blanks);
    if (*rest != '\0' && (*rest != '#' || rest == end + 1))
        return config_fail(loader, row,
                           "something follows the closing quote; quotes go around the whole value");
    *end = '\0';
    *value = start;
    return 0;
}

static int read_value(struct config_loader *loader, const struct config_row *row, char **value)
{
    *value += strspn(*value, blanks);
    if (**value == '"' || **value == '\'')
        return unquote(loader, row, value);
    char before = (*value)[-1]; /* a blank, or the '=' */
    if (**value == '#' && before != '=')
        **value = '\0';
    else if (**value != '\0')
        cut_comment(*value + 1);
    *value = trim(*value);
    return 0;
}

static int fail_unknown(struct config_loader *loader, const char *name)
{
    const struct config_row *meant = config_guess_row(name, strlen(name));
    if (meant != NULL)
        return config_fail(loader, NULL, "unknown setting \"%.64s\"; is %s meant?", name,
                           meant->name);
    return config_fail(loader, NULL, "unknown setting \"%.64s\"; see --help", name);
}

static int load_line(struct config_loader *loader, char *line)
{
    line += strspn(line, blanks);
    if (line[0] == '\0' || line[0] == '#')
        return 0;
    char *value = strchr(line, '=');
    if (value == NULL)
        return config_fail(loader, NULL, "expected \"SETTING = VALUE\"");
    *value++ = '\0';
    line = trim(line);
    const struct config_row *row = config_find_row(line, strlen(line));
    if (row == NULL)
        return fail_unknown(loader, line);
    const struct config_place *earlier = &loader->places[row - config_table];
    if (earlier->source == CONFIG_FROM_FILE && row->type != CONFIG_LIST)
        return config_fail(loader, row, "stands on line %d already; leave one out", earlier->line);
    value[-1] = '=';
    if (read_value(loader, row, &value) != 0)
        return -1;
    return config_set_value(loader, row, value);
}

/* `text` ends with a NUL at `len`. Lines end with LF or CRLF; some editors begin a file with a mark
 * of its byte order. */
static int load_text(struct config_loader *loader, char *text, size_t len)
{
    const char *end = text + len;
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    loader->here.line = 0;
    while (text < end) {
        char *line_end = memchr(text, '\n', (size_t)(end - text));
        if (line_end == NULL)
            line_end = text + (end - text);
        *line_end = '\0';
        loader->here.line++;
        if (strlen(text) != (size_t)(line_end - text))
            return config_fail(loader, NULL, "holds a NUL byte: save the file as text, in UTF-8");
        if (load_line(loader, text) != 0)
            return -1;
        text = line_end + 1;
    }
    return 0;
}

int config_load_file(struct config_loader *loader, const char *path)
{
    loader->path = path;
    loader->here = (struct config_place){CONFIG_FROM_FILE, 0};
    FILE *file = path[0] == '\0' ? NULL : fopen(path, "re");
    if (path[0] == '\0')
        return config_fail(loader, NULL, "config: needs the path of a file");
    if (file == NULL)
        return config_fail(loader, NULL, "cannot read %.200s: %s", path, strerror(errno));
    char *text = memory_new(MOST_BYTES + 1);
    size_t len = fread(text, 1, MOST_BYTES, file);
    int result;
    if (ferror(file))
        result = config_fail(loader, NULL, "cannot read %.200s: %s", path, strerror(errno));
    else if (len == MOST_BYTES)
        result = config_fail(loader, NULL, "%.200s is no file of settings: it has 256 KiB or more",
                             path);
    else
        result = load_text(loader, text, len);
    fclose(file);
    free(text);
    return result;
}
