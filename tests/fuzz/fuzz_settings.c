#include "config/config.h"
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

/* The file of --config, in memory. */
static int open_file(const uint8_t *data, size_t len)
{
    int fd = memfd_create("settings", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data, len) == (ssize_t)len, "there is room for a file");
    return fd;
}

static bool names_a_file(const uint8_t *data, size_t len)
{
    return memmem(data, len, "redis-password-file", 19) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char path[64];
    char program[] = "yukizuri";
    char setting[] = "--config";
    char *const argv[] = {program, setting, path, NULL};
    char *const environment[] = {NULL};
    struct config config;
    if (names_a_file(data, len)) /* it would be opened, whatever it is */
        return 0;
    int fd = open_file(data, len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct config_result result = config_load(&config, 3, argv, environment);
    must(memchr(result.error, '\0', sizeof result.error) != NULL, "the error has an end");
    must((result.action == CONFIG_FAILED) == (result.error[0] != '\0'),
         "it fails with a sentence, and only then");
    must(result.warning_count <= CONFIG_WARNINGS, "there are no more warnings than fit");
    if (result.action == CONFIG_RUN)
        must(config.addr.count > 0 && config.addr.count <= CONFIG_ADDRESSES &&
                 config.max_message >= 512,
             "what runs has good settings");
    config_done(&config);
    close(fd);
    return 0;
}
