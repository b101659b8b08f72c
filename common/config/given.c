/* What is given to the process: the command line and the environment. */
#include "config/internal.h"

#include <ctype.h>
#include <string.h>

static const char prefix[] = "YUKIZURI_";

enum {
    PREFIX_LEN = sizeof prefix - 1,
    MOST_NAME = 64,
    MOST_UNKNOWN = 8, /* told of: what is wrong with settings must find room, too */
};

/* --- The environment --- */

/* YUKIZURI_MAX_TEXT=… → max-text. An unknown variable is warned about and no more: container
 * managers and test runners set variables of that form for reasons of their own. An empty one is
 * as good as none: that is how those who cannot unset it say so. */
static int load_variable(struct config_loader *loader, const char *variable)
{
    const char *equals = strchr(variable, '=');
    if (strncmp(variable, prefix, PREFIX_LEN) != 0 || equals == NULL || equals[1] == '\0')
        return 0;
    char name[MOST_NAME];
    size_t len = (size_t)(equals - variable) - PREFIX_LEN;
    for (size_t i = 0; i < len && i < sizeof name; i++) {
        char c = variable[PREFIX_LEN + i];
        name[i] = (char)(c == '_' ? '-' : tolower((unsigned char)c));
    }
    if (len == 6 && memcmp(name, "config", 6) == 0)
        return 0;
    const struct config_row *row =
        len == 0 || len >= sizeof name ? NULL : config_find_row(name, len);
    if (row != NULL)
        return config_set_value(loader, row, equals + 1);
    if (loader->result.warning_count >= MOST_UNKNOWN)
        return 0;
    loader->here = (struct config_place){CONFIG_FROM_DEFAULT, 0};
    config_warn(loader, NULL, "the environment variable %.*s is no setting and is ignored",
                (int)(equals - variable), variable);
    loader->here = (struct config_place){CONFIG_FROM_ENVIRONMENT, 0};
    return 0;
}

int config_load_environment(struct config_loader *loader, char *const *environment)
{
    loader->here = (struct config_place){CONFIG_FROM_ENVIRONMENT, 0};
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
static bool is_known(const char *text)
{
    struct argument argument;
    return split_argument(text, &argument) == 0 &&
           (is_action(&argument) || is_named(&argument, "config") ||
            config_find_row(argument.name, argument.name_len) != NULL);
}

static int set_format(struct config_loader *loader, const char *format)
{
    static const char *const formats[] = {"text", "markdown", "man", "bash"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(format, formats[i]) == 0) {
            memcpy(loader->result.format, format, strlen(format) + 1);
            return 0;
        }
    }
    return config_fail(loader, NULL, "help: \"%.64s\" is not text, markdown, man or bash", format);
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

static int fail_unknown(struct config_loader *loader, const struct argument *argument)
{
    const struct config_row *meant = config_guess_row(argument->name, argument->name_len);
    int len = argument->name_len > MOST_NAME ? MOST_NAME : (int)argument->name_len;
    if (meant != NULL)
        return config_fail(loader, NULL, "unknown setting --%.*s; is --%s meant?", len,
                           argument->name, meant->name);
    return config_fail(loader, NULL, "unknown setting --%.*s; see --help", len, argument->name);
}

static const char *take_next(int argc, char *const *argv, int *at)
{
    return *at + 1 < argc && !is_known(argv[*at + 1]) ? argv[++*at] : NULL;
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
        return fail_unknown(loader, &argument);
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

int config_load_arguments(struct config_loader *loader, int argc, char *const *argv)
{
    loader->here = (struct config_place){CONFIG_FROM_COMMAND_LINE, 0};
    for (int i = 1; i < argc; i++)
        if (load_argument(loader, argc, argv, &i) != 0)
            return -1;
    return 0;
}

/* --- The file's name --- */

const char *config_find_file(int argc, char *const *argv, char *const *environment)
{
    static const char variable[] = "YUKIZURI_CONFIG=";
    const char *path = NULL;
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, variable, sizeof variable - 1) == 0 &&
            (*environment)[sizeof variable - 1] != '\0')
            path = *environment + sizeof variable - 1;
    for (int i = 1; i < argc; i++) {
        struct argument argument;
        if (split_argument(argv[i], &argument) != 0 || !is_named(&argument, "config"))
            continue;
        const char *next = take_next(argc, argv, &i);
        path = argument.value != NULL ? argument.value : next;
    }
    return path;
}
