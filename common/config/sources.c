#include "config/sources.h"

#include "base/memory.h"
#include "config/error.h"
#include "config/table.h"
#include "config/value.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- The file ---
 *
 * Lines "SETTING = VALUE". White space at both ends counts for nothing; a value may be in quotes,
 * single or double; a '#' that begins a line, or follows white space outside quotes, begins a
 * comment. */

enum {
    MOST_BYTES = 262144,
    MOST_UNKNOWN = 8, /* variables that are warned of: other warnings must find room, too */
};

static const char blanks[] = " \t\r";

static char *trim_blanks(char *text)
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
    const char *after = end + 1 + strspn(end + 1, blanks);
    if (*after != '\0' && (*after != '#' || after == end + 1))
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
    *value = trim_blanks(*value);
    return 0;
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
    line = trim_blanks(line);
    const struct config_row *row = config_find_row(line, strlen(line));
    if (row == NULL)
        return config_fail_unknown(loader, line, strlen(line));
    const struct config_place *earlier = &loader->places[row - config_table];
    if (config_is_same_source(earlier, &loader->here) && row->type != CONFIG_LIST)
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

static int load_file(struct config_loader *loader, const char *path)
{
    loader->here = (struct config_place){CONFIG_FROM_FILE, path, 0};
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

/* --- The files of FILE.d --- */

/* Editors and package managers leave copies with other endings. */
static int is_drop_in(const struct dirent *entry)
{
    static const char ending[] = ".conf";
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > sizeof ending - 1 &&
           strcmp(entry->d_name + len - (sizeof ending - 1), ending) == 0;
}

/* By bytes: the order is the same in every locale. */
static int compare_names(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

/* Adds DIRECTORY/NAME to the paths, which live as long as the places that point to them. */
static void add_drop_in(struct config_list *paths, const char *directory, const char *name)
{
    size_t size = strlen(directory) + strlen(name) + sizeof "/";
    char *path = memory_new(size);
    snprintf(path, size, "%s/%s", directory, name);
    config_list_add(paths, path, size - 1);
    free(path);
}

static int find_drop_ins(struct config_loader *loader, const char *directory)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_drop_in, compare_names);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR)
        return config_fail(loader, NULL, "cannot read %.200s: %s", directory, strerror(errno));
    for (int i = 0; i < count; i++) {
        add_drop_in(&loader->drop_ins, directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

/* Each is a file of its own: what one sets takes the place of what an earlier one set. */
static int load_drop_ins(struct config_loader *loader, const char *path)
{
    size_t size = strlen(path) + sizeof ".d";
    char *directory = memory_new(size);
    snprintf(directory, size, "%s.d", path);
    loader->here = (struct config_place){.source = CONFIG_FROM_FILE};
    int result = find_drop_ins(loader, directory);
    free(directory);
    for (size_t i = 0; result == 0 && i < loader->drop_ins.count; i++)
        result = load_file(loader, loader->drop_ins.items[i]);
    return result;
}

/* --- The environment --- */

static const char prefix[] = "YUKIZURI_";
static const char file_variable[] = "YUKIZURI_CONFIG=";

/* An unknown variable is warned about and no more: container managers and test runners set
 * variables of that form for reasons of their own. An empty one is as good as none: that is how
 * those who cannot unset it say so. */
static int load_variable(struct config_loader *loader, const char *variable)
{
    const char *equals = strchr(variable, '=');
    if (strncmp(variable, prefix, sizeof prefix - 1) != 0 || equals == NULL || equals[1] == '\0' ||
        strncasecmp(variable, file_variable, sizeof file_variable - 1) == 0)
        return 0;
    const struct config_row *row = config_guess_row(variable, (size_t)(equals - variable));
    if (row != NULL)
        return config_set_value(loader, row, equals + 1);
    if (loader->result.warning_count >= MOST_UNKNOWN)
        return 0;
    loader->here = (struct config_place){.source = CONFIG_FROM_DEFAULT};
    config_warn(loader, NULL, "the environment variable %.*s is no setting and is ignored",
                (int)(equals - variable), variable);
    loader->here = (struct config_place){.source = CONFIG_FROM_ENVIRONMENT};
    return 0;
}

static int load_environment(struct config_loader *loader, char *const *environment)
{
    loader->here = (struct config_place){.source = CONFIG_FROM_ENVIRONMENT};
    for (; *environment != NULL; environment++)
        if (load_variable(loader, *environment) != 0)
            return -1;
    return 0;
}

/* --- The command line --- */

struct argument {
    const char *name;
    size_t name_len;
    const char *value; /* NULL when it did not come with '=' */
};

static int split_argument(const char *text, struct argument *out)
{
    if (text[0] != '-' || text[1] == '\0')
        return -1;
    text += text[1] == '-' ? 2 : 1;
    out->name = text;
    out->name_len = strcspn(text, "=");
    out->value = text[out->name_len] == '=' ? text + out->name_len + 1 : NULL;
    return out->name_len == 0 ? -1 : 0;
}

static bool is_named(const struct argument *argument, const char *name)
{
    return strlen(name) == argument->name_len && strncmp(argument->name, name, strlen(name)) == 0;
}

static bool is_help(const struct argument *argument)
{
    return is_named(argument, "help") || is_named(argument, "h");
}

static bool is_action(const struct argument *argument)
{
    return is_help(argument) || is_named(argument, "version") || is_named(argument, "check-config");
}

/* Does it begin something of its own, so that it is nobody's value? "-5" does not. */
static bool is_setting(const char *text)
{
    struct argument argument;
    return split_argument(text, &argument) == 0 &&
           (is_action(&argument) || is_named(&argument, "config") ||
            config_find_row(argument.name, argument.name_len) != NULL);
}

static int set_format(struct config_loader *loader, const char *format)
{
    static const char *const formats[] = {"text", "markdown", "man", "man5", "bash"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(format, formats[i]) == 0) {
            memcpy(loader->result.format, format, strlen(format) + 1);
            return 0;
        }
    }
    return config_fail(loader, NULL, "help: \"%.64s\" is not text, markdown, man, man5 or bash",
                       format);
}

/* Who asks for help gets it, whatever else is wrong. */
int config_find_action(struct config_loader *loader, int argc, char *const *argv)
{
    for (int i = 1; i < argc; i++) {
        struct argument argument;
        if (split_argument(argv[i], &argument) != 0)
            continue;
        if (is_help(&argument)) {
            loader->result.action = CONFIG_HELP;
            return set_format(loader, argument.value == NULL ? "text" : argument.value);
        }
        if (is_named(&argument, "version"))
            loader->result.action = CONFIG_VERSION;
        else if (is_named(&argument, "check-config") && loader->result.action == CONFIG_RUN)
            loader->result.action = CONFIG_CHECK;
    }
    return 0;
}

static const char *take_next(int argc, char *const *argv, int *at)
{
    return *at + 1 < argc && !is_setting(argv[*at + 1]) ? argv[++*at] : NULL;
}

/* Sets argv[*at], and moves on when the next argument is its value. Nothing stands alone on this
 * command line, so whatever follows a BOOL and is no setting is meant for it. */
static int load_argument(struct config_loader *loader, int argc, char *const *argv, int *at)
{
    struct argument argument;
    const char *text = argv[*at];
    if (split_argument(text, &argument) != 0)
        return config_fail(loader, NULL, "unexpected argument \"%.128s\"; see --help", text);
    if (is_action(&argument))
        return is_help(&argument) || argument.value == NULL
                   ? 0
                   : config_fail(loader, NULL, "--%.*s takes no value", (int)argument.name_len,
                                 argument.name);
    bool config_file = is_named(&argument, "config");
    const struct config_row *row = config_find_row(argument.name, argument.name_len);
    if (row == NULL && !config_file)
        return config_fail_unknown(loader, argument.name, argument.name_len);
    const char *value = argument.value != NULL ? argument.value : take_next(argc, argv, at);
    if (value == NULL && row != NULL && row->type == CONFIG_BOOL)
        value = "true";
    if (value != NULL)
        return config_file ? 0 : config_set_value(loader, row, value);
    if (*at + 1 < argc)
        return config_fail(loader, NULL, "--%.*s needs a value, and \"%.128s\" is the next setting",
                           (int)argument.name_len, argument.name, argv[*at + 1]);
    return config_fail(loader, NULL, "--%.*s needs a value", (int)argument.name_len, argument.name);
}

static int load_arguments(struct config_loader *loader, int argc, char *const *argv)
{
    loader->here = (struct config_place){.source = CONFIG_FROM_COMMAND_LINE};
    for (int i = 1; i < argc; i++)
        if (load_argument(loader, argc, argv, &i) != 0)
            return -1;
    return 0;
}

/* --- All of them --- */

/* The path of the file, from the command line or the environment; NULL: none is named. */
static const char *find_file(int argc, char *const *argv, char *const *environment)
{
    const size_t len = sizeof file_variable - 1;
    const char *path = NULL;
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, file_variable, len) == 0 && (*environment)[len] != '\0')
            path = *environment + len;
    for (int i = 1; i < argc; i++) {
        struct argument argument;
        if (split_argument(argv[i], &argument) != 0 || !is_named(&argument, "config"))
            continue;
        const char *next = take_next(argc, argv, &i);
        path = argument.value != NULL ? argument.value : next;
    }
    return path;
}

int config_load_sources(struct config_loader *loader, int argc, char *const *argv,
                        char *const *environment)
{
    const char *path = find_file(argc, argv, environment);
    if (path != NULL && (load_file(loader, path) != 0 || load_drop_ins(loader, path) != 0))
        return -1;
    int error = load_environment(loader, environment);
    return error != 0 ? error : load_arguments(loader, argc, argv);
}
