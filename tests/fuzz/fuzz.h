/* fuzz: what every fuzzer includes. */
#ifndef YUKIZURI_FUZZ_H
#define YUKIZURI_FUZZ_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What must hold; unlike assert in every build, and with a word for the report. */
static inline void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "this must hold: %s\n", what);
    abort();
}

static inline void must_be_same(const char *a, const char *b, const char *what)
{
    must((a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0), what);
}

/* The input with a space before it: what has our own form is then left to the full parser. */
static inline struct text fuzz_put_space_before(const uint8_t *data, size_t len)
{
    struct text spaced = TEXT_EMPTY;
    text_add_string(&spaced, " ");
    text_add(&spaced, (const char *)data, len);
    return spaced;
}

#endif
