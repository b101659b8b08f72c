#include "file_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

enum { COMMON_LIMIT = 1024, LEAST_CONNECTIONS = 1000 };

static const char advice[] = "raise it: ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of "
                             "docker";

uint64_t file_limit_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return COMMON_LIMIT;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : soft;
}

int file_limit_judge(uint64_t limit, const struct file_limit_wish *wish, char *out, size_t size)
{
    uint64_t room = limit > FILE_LIMIT_RESERVED ? limit - FILE_LIMIT_RESERVED : 0;
    uint64_t least = LEAST_CONNECTIONS;
    if (wish->connections != 0 && (wish->given || wish->connections < least))
        least = wish->connections;
    if (room >= least)
        return 0;
    if (room == 0) {
        snprintf(out, size,
                 "the limit of open files is %" PRIu64 ", and a gateway needs %d for itself; %s",
                 limit, FILE_LIMIT_RESERVED, advice);
        return -1;
    }
    snprintf(out, size,
             "the limit of open files is %" PRIu64 ", which leaves %" PRIu64
             " for connections, and not %" PRIu64 "; %s",
             limit, room, least, advice);
    return 1;
}
