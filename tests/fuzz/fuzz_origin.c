#include "base/memory.h"
#include "protocol/authority.h"
#include "protocol/origin.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was read into its one form is read into the same form again. */
static void check_form(const char *origin)
{
    char again[ORIGIN_BYTES];
    if (origin_read(origin, again) != 0 || strcmp(origin, again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct authority authority;
    char origin[ORIGIN_BYTES];
    char why[400];
    char *text = memory_copy((const char *)data, len); /* with a NUL behind it */
    authority_read((const char *)data, len, &authority);
    if (origin_read(text, origin) == 0) {
        check_form(origin);
        origin_is_of_host(origin, text);
    }
    origin_judge(text, why, sizeof why);
    free(text);
    return 0;
}
