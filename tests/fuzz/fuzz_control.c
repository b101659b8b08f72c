#include "fuzz.h"
#include "protocol/control.h"

/* What was read can be answered, and the answer has no line break in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct control control;
    const char *why = NULL;
    struct text out = TEXT_EMPTY;
    bool read = control_parse((const char *)data, len, &control, &why) == 0;
    must(read == (why == NULL), "an error has a reason");
    must(!read || control.room[0] != '\0', "a command is about a room");
    must(!read || (control.by != CONTROL_BY_NOTHING) == (control.whom[0] != '\0'), "and somebody");
    control_add_done(&out, &(struct control_done){
                               .gateway = "g", .control = read ? &control : NULL, .error = why});
    must(strchr(out.data, '\n') == NULL, "one line");
    text_done(&out);
    return 0;
}
