#include "base/file_limit.h"

#include <dirent.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

static const char advice[] = "raise it: ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of "
                             "docker";

enum {
    COMMON_LIMIT = 1024,
    LEAST_CONNECTIONS = 1000,
    MOST_COUNTED = 2000, /* a millisecond or two */
};

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

uint64_t file_limit_get(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : COMMON_LIMIT;
}

/* The directory itself, while it is read, and its two entries that are none. */
static uint64_t count_some(void)
{
    const uint64_t others = 3;
    uint64_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return 0;
    /* cppcheck-suppress readdirCalled ; nobody else has this directory stream (readdir(3)) */
    while (count < MOST_COUNTED + others && readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count > others ? count - others : 0;
}

uint64_t file_limit_in_use(uint64_t at_least)
{
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        return (uint64_t)status.st_size;
    uint64_t count = at_least > MOST_COUNTED ? at_least : count_some();
    return count > at_least ? count : at_least;
}
