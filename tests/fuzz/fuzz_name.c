#include "protocol/name.h"
#include "protocol/token.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What stands for all that look alike looks like itself; ASCII stays, but for its capitals. */
static void check_fold(const struct name *name)
{
    struct name again;
    bool ascii = true;
    if (name_judge(name->folded, strlen(name->folded), &again) == NAME_OK)
        assert(strcmp(name->folded, again.folded) == 0);
    for (const char *at = name->shown; *at != '\0'; at++)
        ascii = ascii && (unsigned char)*at < 0x80;
    assert(!ascii || strcasecmp(name->shown, name->folded) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct name name;
    struct name again;
    struct token token;
    char room[NAME_BYTES];
    token_parse((const char *)data, len, &token);
    if (name_judge_room((const char *)data, len, room) == NAME_OK) {
        char same[NAME_BYTES];
        assert(name_judge_room(room, strlen(room), same) == NAME_OK && strcmp(room, same) == 0);
    }
    if (name_judge((const char *)data, len, &name) != NAME_OK)
        return 0;
    /* a fair name stays fair, and the same, when it is judged again */
    assert(name_judge(name.shown, strlen(name.shown), &again) == NAME_OK);
    assert(strcmp(name.shown, again.shown) == 0 && strcmp(name.folded, again.folded) == 0);
    check_fold(&name);
    /* the number makes another name of it, and is all that is added to the base */
    name_with_number(&name, 99, &again);
    name_number_base(&name, room);
    size_t base = strlen(room);
    assert(strlen(again.folded) == base + 2 && memcmp(again.folded, room, base) == 0);
    return 0;
}
