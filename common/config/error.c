#include "config/error.h"

#include "config/table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 64 }; /* characters of an unknown one that are printed */

/* "--max-text: ", "YUKIZURI_MAX_TEXT: ", "/etc/yukizuri.conf:3: max-text: ". */
static void print_place(const struct config_loader *loader, const struct config_row *row, FILE *out)
{
    enum config_source source = loader->here.source;
    if (source == CONFIG_FROM_FILE && loader->here.line > 0)
        fprintf(out, "%.200s:%d: ", loader->here.path, loader->here.line);
    if (row == NULL)
        return;
    if (source == CONFIG_FROM_ENVIRONMENT)
        config_print_variable(out, row->name);
    else
        fprintf(out, "%s%s", source == CONFIG_FROM_COMMAND_LINE ? "--" : "", row->name);
    fputs(": ", out);
}

/* What is printed in may hold anything. */
static void make_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text))
            *text = '?';
}

static void write_sentence(const struct config_loader *loader, const struct config_row *row,
                           char out[CONFIG_LINE_BYTES], const char *format, va_list values)
    __attribute__((format(printf, 4, 0)));

static void write_sentence(const struct config_loader *loader, const struct config_row *row,
                           char out[CONFIG_LINE_BYTES], const char *format, va_list values)
{
    memset(out, 0, CONFIG_LINE_BYTES);
    FILE *line = fmemopen(out, CONFIG_LINE_BYTES - 1, "w"); /* which cuts what is too long */
    if (line == NULL)
        abort(); /* out of memory */
    print_place(loader, row, line);
    vfprintf(line, format, values);
    fclose(line);
    make_one_line(out);
}

int config_fail(struct config_loader *loader, const struct config_row *row, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    write_sentence(loader, row, loader->result.error, format, values);
    va_end(values);
    loader->result.action = CONFIG_FAILED;
    return -1;
}

void config_warn(struct config_loader *loader, const struct config_row *row, const char *format,
                 ...)
{
    struct config_result *result = &loader->result;
    if (result->warning_count == CONFIG_WARNINGS)
        return;
    va_list values;
    va_start(values, format);
    write_sentence(loader, row, result->warnings[result->warning_count++], format, values);
    va_end(values);
}

int config_fail_unknown(struct config_loader *loader, const char *name, size_t len)
{
    const struct config_row *meant = config_guess_row(name, len);
    bool argument = loader->here.source == CONFIG_FROM_COMMAND_LINE;
    const char *before = argument ? "--" : "\"";
    const char *after = argument ? "" : "\"";
    int printed = len > MOST_NAME ? MOST_NAME : (int)len;
    if (meant == NULL)
        return config_fail(loader, NULL, "unknown setting %s%.*s%s; see --help", before, printed,
                           name, after);
    return config_fail(loader, NULL, "unknown setting %s%.*s%s; is %s%s meant?", before, printed,
                       name, after, argument ? "--" : "", meant->name);
}
