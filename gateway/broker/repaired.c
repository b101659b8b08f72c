#include "broker/repaired.h"

void mended_tell(struct log *log, const char *key, bool *told)
{
    if (!*told)
        log_write(log, &(struct log_line){
                           .level = LOG_LEVEL_WARN,
                           .kind = "key-mended",
                           .id = key,
                           .message = "it was no key of ours, or had no end, set by somebody else; "
                                      "it is mended",
                       });
    *told = true;
}
