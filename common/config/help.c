#include "config/help.h"

#include "config/table.h"

#include <string.h>

/* Wraps a sentence at 78 columns behind six spaces. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column + word + 1 > 72)
            column = 0;
        fprintf(out, "%s%.*s", column == 0 ? "\n      " : " ", (int)word, text);
        column += word + 1;
        text += word + strspn(text + word, " ");
    }
    fputc('\n', out);
}

static void print_text(FILE *out)
{
    fputs(
        "Usage: yukizuri [--SETTING VALUE]...\n\n"
        "A web chat without login or archive. With no settings it starts a private Redis and\n"
        "serves http://localhost:8080\n\n"
        "Each setting may also be a line \"SETTING = VALUE\" of the file named by --config, or an\n"
        "environment variable: --max-text is YUKIZURI_MAX_TEXT. The command line wins over the\n"
        "environment, and the environment over the file. For a limit, 0 means no limit;\n"
        "max-message, max-head and retention-messages need a number.\n\n"
        "BOOL is true or false, also written yes or no, on or off, 1 or 0; --log-text alone is\n"
        "--log-text true. An empty environment variable is ignored. In the file a value may\n"
        "be in quotes, and # begins a comment.\n",
        out);
    for (size_t i = 0; i < config_table_count; i++) {
        const struct config_row *row = &config_table[i];
        fprintf(out, "\n  --%s %s", row->name, row->value);
        if (row->initial != NULL)
            fprintf(out, "   (default %s)", row->initial);
        print_wrapped(out, row->meaning);
    }
    fputs(
        "\n  --config FILE\n      Read settings from this file, and then from each FILE.d/*.conf.\n"
        "  --check-config\n      Check all settings and exit.\n"
        "  --help, --help=markdown, --help=man, --help=bash\n"
        "      Print this text; or a table, a manual page, a completion script for bash.\n"
        "  --version\n      Print the version.\n",
        out);
}

/* A value with | in it would end the cell of a table. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void print_markdown_row(FILE *out, const struct config_row *row)
{
    fprintf(out, "| `--%s ", row->name);
    print_cell(out, row->value);
    fputs("` | `", out);
    config_print_variable(out, row->name);
    fputs("` | ", out);
    if (row->initial != NULL)
        fprintf(out, "`%s` ", row->initial);
    fprintf(out, "| %s |\n", row->meaning);
}

/* docs/configuration.md is the two with the rows in between. */
static const char markdown_begin[] =
    "# Configuration\n\n"
    "`yukizuri --help=markdown` writes this page. A test fails if the page differs from that "
    "output.\n\n"
    "A setting can be given in three ways:\n\n"
    "- on the command line: `--max-text 500` or `--max-text=500`, with one dash or two;\n"
    "- in the environment: `YUKIZURI_MAX_TEXT=500`; an empty variable is ignored;\n"
    "- in the file that `--config` names: the line `max-text = 500`; a value may be in quotes, "
    "and `#` begins a comment.\n\n"
    "The command line wins over the environment, and the environment over the file. A file may "
    "contain a setting once. After the file, the gateway reads `FILE.d/*.conf` in the order of "
    "their names. What a later file sets takes the place of what an earlier one set. A setting "
    "that may be given more than once may also have several "
    "values, separated by commas or blanks.\n\n"
    "For a limit, 0 means no limit; max-message, max-head and retention-messages need a number. "
    "For `retention`, 0 means that nothing is stored. "
    "BOOL is true or false, also written yes or no, on or off, 1 or 0. A BOOL setting without a "
    "value is true.\n\n"
    "On a wrong setting the program prints one line to standard error, which names the place of "
    "the value, and exits with status 2. Settings that contradict each other are refused or "
    "cause a warning. An unknown setting is an error. An unknown variable that begins with "
    "`YUKIZURI_` causes only a warning, because container managers set variables of that "
    "form.\n\n"
    "| setting | environment | default | meaning |\n|---|---|---|---|\n";
static const char markdown_end[] =
    "\n| option | meaning |\n|---|---|\n"
    "| `--config FILE` | Read settings from this file, and then from each `FILE.d/*.conf`; also "
    "`YUKIZURI_CONFIG`. |\n"
    "| `--check-config` | Check all settings and exit. |\n"
    "| `--help`, `--help=markdown`, `--help=man`, `--help=bash` | Print all settings: as text, as "
    "this page, as a manual page, or as a completion script for bash. |\n"
    "| `--version` | Print the version. |\n";

static void print_markdown(FILE *out)
{
    fputs(markdown_begin, out);
    for (size_t i = 0; i < config_table_count; i++)
        print_markdown_row(out, &config_table[i]);
    fputs(markdown_end, out);
}

/* A dot or a quote at the start of a line is a request to troff; a backslash always is. */
static void print_roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

static void print_man(FILE *out)
{
    fputs(".TH YUKIZURI 1\n.SH NAME\nyukizuri \\- a web chat without login or archive\n"
          ".SH SYNOPSIS\n.B yukizuri\n[\\-\\-SETTING VALUE]...\n"
          ".SH DESCRIPTION\nA WebSocket gateway. Any number of gateways share their rooms through "
          "Redis.\n"
          "With no settings it starts a private Redis and serves http://localhost:8080.\n"
          "Each setting may also be a line \"SETTING = VALUE\" of the file named by\n"
          ".BR \\-\\-config ,\nor an environment variable. The command line wins over the "
          "environment, and the environment over the file.\n"
          "BOOL is true or false, also written yes or no, on or off, 1 or 0; a setting alone is\n"
          "true.\nAn empty environment variable is ignored.\n"
          "In the file a value may be in quotes, and # begins a comment.\n.SH SETTINGS\n",
          out);
    for (size_t i = 0; i < config_table_count; i++) {
        const struct config_row *row = &config_table[i];
        fputs(".TP\n\\fB", out);
        print_roff(out, "--");
        print_roff(out, row->name);
        fprintf(out, "\\fR \\fI%s\\fR", row->value);
        if (row->initial != NULL) {
            fputs(" (default ", out);
            print_roff(out, row->initial);
            fputc(')', out);
        }
        fputc('\n', out);
        print_roff(out, row->meaning);
        fputs(" Environment: ", out);
        config_print_variable(out, row->name);
        fputs(".\n", out);
    }
}

static void print_bash(FILE *out)
{
    fputs("complete -W '--config --check-config --help --version", out);
    for (size_t i = 0; i < config_table_count; i++)
        fprintf(out, " --%s", config_table[i].name);
    fputs("' yukizuri\n", out);
}

void config_print_help(FILE *out, const char *format)
{
    if (strcmp(format, "markdown") == 0)
        print_markdown(out);
    else if (strcmp(format, "man") == 0)
        print_man(out);
    else if (strcmp(format, "bash") == 0)
        print_bash(out);
    else
        print_text(out);
}
