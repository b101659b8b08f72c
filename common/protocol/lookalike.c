#include "protocol/lookalike.h"

#include "protocol/lookalike_table.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int compare_codes(const void *key, const void *row)
{
    uint32_t code = *(const uint32_t *)key;
    uint32_t other = ((const struct lookalike_row *)row)->code;
    return (code > other) - (code < other);
}

int32_t lookalike_of(int32_t code)
{
    const uint32_t key = (uint32_t)code;
    if (key < lookalike_rows[0].code)
        return code;
    const struct lookalike_row *row =
        bsearch(&key, lookalike_rows, sizeof lookalike_rows / sizeof *lookalike_rows,
                sizeof *lookalike_rows, compare_codes);
    return row == NULL ? code : (int32_t)row->target;
}

/* Both are two bytes long. */
static void replace_all(char *text, const char *capital, char with)
{
    for (char *at = strstr(text, capital); at != NULL; at = strstr(at, capital)) {
        *at++ = with;
        memmove(at, at + 1, strlen(at));
    }
}

/* Letters of ASCII, and the first bytes of Cyrillic ones. */
static const char beside[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\xd0\xd1\xd2\xd3";

void lookalike_replace_capitals(char *text)
{
    if (strpbrk(text, beside) == NULL)
        return;
    replace_all(text, "\u039d", 'N');
    replace_all(text, "\u03a5", 'Y');
}
