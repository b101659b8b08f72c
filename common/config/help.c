#include "config/help.h"

#include "config/table.h"

#include <stdbool.h>
#include <string.h>

enum { ROFF_COLUMNS = 66 }; /* before what is escaped */

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
        "  --help, --help=markdown, --help=man, --help=man5, --help=bash\n"
        "      Print this text; or a table, the manual pages yukizuri(8) and yukizuri.conf(5), a\n"
        "      completion script for bash.\n"
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
    "| `--help`, `--help=markdown`, `--help=man`, `--help=man5`, `--help=bash` | Print all "
    "settings: as text, as this page, as the manual pages yukizuri(8) and yukizuri.conf(5), or as "
    "a completion script for bash. |\n"
    "| `--version` | Print the version. |\n";

static void print_markdown(FILE *out)
{
    fputs(markdown_begin, out);
    for (size_t i = 0; i < config_table_count; i++)
        print_markdown_row(out, &config_table[i]);
    fputs(markdown_end, out);
}

static void print_roff_bytes(FILE *out, const char *text, size_t len)
{
    for (; len > 0; len--, text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

static void print_roff(FILE *out, const char *text)
{
    print_roff_bytes(out, text, strlen(text));
}

/* Each sentence begins a line, which troff wants, and no line is long. A dot or a quote at the
 * start of a line would be a request. */
static void print_roff_text(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column == 0 && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        print_roff_bytes(out, text, word);
        column += word + 1;
        bool ends = word > 0 && text[word - 1] == '.';
        text += word + strspn(text + word, " ");
        bool breaks = ends || column + strcspn(text, " ") > ROFF_COLUMNS || *text == '\0';
        fputc(breaks ? '\n' : ' ', out);
        column = breaks ? 0 : column;
    }
}

/* --- Manual pages --- */

static const char man_footer[] = " \"" YUKIZURI_DATE "\" \"yukizuri " YUKIZURI_VERSION "\"\n";

static void print_man_row(FILE *out, const struct config_row *row, const char *dashes)
{
    fputs(".TP\n\\fB", out);
    print_roff(out, dashes);
    print_roff(out, row->name);
    fprintf(out, "\\fR%s\\fI%s\\fR", *dashes == '\0' ? " = " : " ", row->value);
    if (row->initial != NULL) {
        fputs(" (default ", out);
        print_roff(out, row->initial);
        fputc(')', out);
    }
    fputc('\n', out);
    print_roff_text(out, row->meaning);
}

static const char man_begin[] =
    ".SH NAME\nyukizuri \\- a web chat without login or archive\n"
    ".SH SYNOPSIS\n.B yukizuri\n[\\-\\-\\fISETTING\\fR \\fIVALUE\\fR]...\n"
    ".SH DESCRIPTION\nA WebSocket gateway.\n"
    "Any number of gateways share their rooms through Redis.\n"
    "Without settings it starts a private Redis and serves\nhttp://localhost:8080.\n.PP\n"
    "Each setting may also be a line of the file named by\n.B \\-\\-config\n(see\n"
    ".BR yukizuri.conf (5)),\nor an environment variable.\n"
    "The command line wins over the environment, and the environment over the\nfile.\n"
    "BOOL is true or false, also written yes or no, on or off, 1 or 0; a\n"
    "setting alone is true.\nAn empty environment variable is ignored.\n.SH OPTIONS\n"
    ".TP\n\\fB\\-\\-config\\fR \\fIFILE\\fR\nRead settings from this file, and then from each\n"
    "\\fIFILE\\fR.d/*.conf.\nEnvironment: YUKIZURI_CONFIG.\n"
    ".TP\n\\fB\\-\\-check\\-config\\fR\nCheck all settings and exit.\n"
    ".TP\n\\fB\\-\\-help\\fR[=text|markdown|man|man5|bash]\nPrint all settings: as text, as a "
    "page in Markdown, as this page, as\n.BR yukizuri.conf (5),\nor as a completion script for "
    "bash.\n.TP\n\\fB\\-\\-version\\fR\nPrint the version.\n";
static const char man_end[] =
    ".SH SIGNALS\n"
    ".TP\n.B SIGTERM\nDrains and exits: members reconnect elsewhere, spread over\n.BR drain .\n"
    "A second one ends the process at once.\n"
    ".TP\n.B SIGINT\nEnds the process at once.\n"
    ".TP\n.BR SIGHUP \", \" SIGUSR1\nReopens\n.B log\\-file\nand reads\n.B "
    "redis\\-password\\-file\nagain.\n"
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nThe process ended on request.\n"
    ".TP\n.B 1\nThe process could not start or continue.\n"
    ".TP\n.B 2\nA setting is wrong, or too few descriptors are available; nothing was opened.\n"
    ".TP\n.B 3\nAnother living process has the\n.BR gateway\\-id .\n"
    ".SH SEE ALSO\n.BR yukizuri.conf (5),\n.BR redis\\-server (1),\n.BR systemd.service (5)\n";

static void print_man(FILE *out)
{
    fprintf(out, ".TH YUKIZURI 8%s", man_footer);
    fputs(man_begin, out);
    fputs(".SH SETTINGS\n", out);
    for (size_t i = 0; i < config_table_count; i++) {
        print_man_row(out, &config_table[i], "--");
        fputs("Environment: ", out);
        config_print_variable(out, config_table[i].name);
        fputs(".\n", out);
    }
    fputs(man_end, out);
}

static const char man5_begin[] =
    ".SH NAME\nyukizuri.conf \\- settings of a Yukizuri gateway\n"
    ".SH SYNOPSIS\n.nf\n/etc/yukizuri/yukizuri.conf\n/etc/yukizuri/yukizuri.conf.d/*.conf\n.fi\n"
    ".SH DESCRIPTION\nThe file that\n.BR yukizuri (8)\nreads with\n.BR \\-\\-config .\n"
    "Each line is \\fISETTING\\fR = \\fIVALUE\\fR.\n"
    "A value may be in quotes, and # begins a comment.\nA file may contain a setting once.\n"
    "A setting that may be given more than once may also have several values,\nseparated by "
    "commas or blanks.\n.PP\n"
    "After the file, the gateway reads the files of the directory beside it, in\nthe order of "
    "their names.\nWhat a later file sets takes the place of what an earlier one set.\n"
    "The environment and the command line win over all files.\n.PP\n"
    "For a limit, 0 means no limit; max\\-message, max\\-head and\nretention\\-messages need a "
    "number.\nFor retention, 0 means that nothing is stored.\n"
    "BOOL is true or false, also written yes or no, on or off, 1 or 0.\n.PP\n"
    "\\fByukizuri \\-\\-config\\fR \\fIFILE\\fR \\fB\\-\\-check\\-config\\fR\nchecks all files "
    "and starts nothing.\n.SH SETTINGS\n";

static void print_man5(FILE *out)
{
    fprintf(out, ".TH YUKIZURI.CONF 5%s", man_footer);
    fputs(man5_begin, out);
    for (size_t i = 0; i < config_table_count; i++)
        print_man_row(out, &config_table[i], "");
    fputs(".SH SEE ALSO\n.BR yukizuri (8)\n", out);
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
    static const struct {
        const char *name;
        void (*print)(FILE *out);
    } formats[] = {
        {"markdown", print_markdown}, {"man", print_man},   {"man5", print_man5},
        {"bash", print_bash},         {"text", print_text},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(format, formats[i].name) == 0)
            formats[i].print(out);
}
