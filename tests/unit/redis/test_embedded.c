/* The very source, to know the keeper's pid. A real redis-server is started. */
#include "unit.h"

#include "redis/embedded.c"

#include <dirent.h>
#include <poll.h>
#include <time.h>

enum { ROUNDS = 30, STEP_US = 100, PATIENCE_MS = 10000 };

/* How many processes have the word on their command lines. */
static int count_processes(const char *word)
{
    DIR *all = opendir("/proc");
    const struct dirent *each;
    char line[4096];
    int count = 0;
    while ((each = readdir(all)) != NULL) {
        char name[300];
        snprintf(name, sizeof name, "/proc/%s/cmdline", each->d_name);
        FILE *file = fopen(name, "r");
        if (file == NULL)
            continue;
        size_t len = fread(line, 1, sizeof line, file);
        count += memmem(line, len, word, strlen(word)) != NULL;
        fclose(file);
    }
    closedir(all);
    return count;
}

static void await_processes(const char *word, int count)
{
    for (int i = 0; count_processes(word) != count; i++) {
        assert_true(i < PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

/* Killed at all moments of its first milliseconds. A server that has not got as far as its command
 * line would not be found: the one that is started next has to be the only one. */
static void test_no_server_is_left_of_a_keeper_that_was_killed_after_its_fork(void **state)
{
    (void)state;
    char error[256];
    struct redis_url url;
    const struct embedded_redis_options options = {0};
    for (int i = 0; i < ROUNDS; i++) {
        struct embedded_redis *redis = embedded_redis_start(&url, &options, error, sizeof error);
        assert_non_null(redis);
        const struct timespec moment = {.tv_nsec = (long)i * STEP_US * 1000};
        nanosleep(&moment, NULL);
        kill(redis->keeper, SIGKILL);
        char *directory = memory_copy(url.path, strlen(url.path) - strlen("/redis.sock"));
        embedded_redis_stop(redis);
        redis = embedded_redis_start(&url, &options, error,
                                     sizeof error); /* longer than the other needs */
        await_processes(url.path, 1);
        await_processes(directory, 0);
        embedded_redis_stop(redis);
        assert_int_equal(access(directory, F_OK), -1);
        free(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_server_is_left_of_a_keeper_that_was_killed_after_its_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
