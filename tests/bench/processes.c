#include "processes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_of(int pid, const char *name)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

struct processes processes_parse(const char *list)
{
    struct processes processes = {.count = 0};
    while (*list != '\0' && processes.count < 128) {
        char *end;
        processes.pids[processes.count++] = (int)strtol(list, &end, 10);
        list = *end == ',' ? end + 1 : end;
    }
    return processes;
}

/* The scheduler's own count in nanoseconds; the ticks of `stat` would be too coarse. */
static double thread_cpu_s(int pid, const char *thread)
{
    char name[64];
    unsigned long long ns = 0;
    snprintf(name, sizeof name, "task/%.20s/schedstat", thread);
    FILE *file = open_of(pid, name);
    if (fscanf(file, "%llu", &ns) != 1)
        ns = 0;
    fclose(file);
    return (double)ns / 1e9;
}

double processes_cpu_s(const struct processes *processes)
{
    double total = 0;
    for (int i = 0; i < processes->count; i++) {
        char path[64];
        struct dirent *entry;
        snprintf(path, sizeof path, "/proc/%d/task", processes->pids[i]);
        DIR *threads = opendir(path);
        while (threads != NULL && (entry = readdir(threads)) != NULL)
            if (entry->d_name[0] != '.')
                total += thread_cpu_s(processes->pids[i], entry->d_name);
        if (threads != NULL)
            closedir(threads);
    }
    return total;
}

double processes_pss(const struct processes *processes)
{
    double total = 0;
    for (int i = 0; i < processes->count; i++) {
        FILE *file = open_of(processes->pids[i], "smaps_rollup");
        char line[160];
        unsigned long kib = 0;
        while (fgets(line, sizeof line, file) != NULL)
            if (sscanf(line, "Pss: %lu", &kib) == 1)
                break;
        fclose(file);
        total += (double)kib * 1024;
    }
    return total;
}
