#include "log_file.h"

#include "unit.h"

#include <unistd.h>

static char path[32];

struct log *log_file_open(void)
{
    strcpy(path, "/tmp/yukizuri-unit-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return log_open(path, true, "gw");
}

size_t log_file_count(const char *what)
{
    char line[1024];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        count += strstr(line, what) != NULL;
    fclose(file);
    return count;
}

void log_file_remove(void)
{
    unlink(path);
}
