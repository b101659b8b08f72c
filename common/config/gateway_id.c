#include "config/gateway_id.h"

#include "base/digest.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    HOST_BYTES = 40, /* a longer host name is cut: pid, random part and number fit behind it */
    LONGEST_WITH_WORKERS = 60,
};

void gateway_id_make(char out[GATEWAY_ID_BYTES])
{
    char host[256] = "";
    uint8_t random[3];
    gethostname(host, sizeof host - 1);
    for (char *at = host; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && *at != '.' && *at != '-')
            *at = '-';
    digest_random(random, sizeof random);
    snprintf(out, GATEWAY_ID_BYTES, "%.*s-%ld-%02x%02x%02x", HOST_BYTES,
             host[0] == '\0' ? "gateway" : host, (long)getpid(), random[0], random[1], random[2]);
}

const char *gateway_id_judge(const char *id, bool workers)
{
    /* P:gateway:a:rooms would be the lease of "a:rooms" as well */
    if (strchr(id, ':') != NULL)
        return "has a colon, which parts the words of a key in Redis; try a dash";
    if (workers && strlen(id) > LONGEST_WITH_WORKERS)
        return "is too long to get a worker's number: at most 60 characters, with workers";
    return NULL;
}
