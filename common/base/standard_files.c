#include "base/standard_files.h"

#include <fcntl.h>
#include <unistd.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* open(2) gives the lowest number that is free: going upwards, that is the one in question. */
int standard_files_hold(bool *has_output)
{
    *has_output = is_open(STDOUT_FILENO);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (!is_open(fd) && open("/dev/null", O_RDWR) < 0)
            return -1;
    return 0;
}
