#include "protocol/name.h"
#include "protocol/token.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

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
    /* the number makes another name of it, and is all that is added to the base */
    name_with_number(&name, 99, &again);
    name_number_base(&name, room);
    size_t base = strlen(room);
    assert(strlen(again.folded) == base + 2 && memcmp(again.folded, room, base) == 0);
    return 0;
}
