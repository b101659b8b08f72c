/* processes: what the processes under test have cost, from /proc. A process is named by its pid;
 * one that is gone, or cannot be read, ends the benchmark with a message. */
#ifndef BENCH_PROCESSES_H
#define BENCH_PROCESSES_H

struct processes {
    int pids[128];
    int count;
};

/* Reads "12,345". */
struct processes processes_parse(const char *list);

/* CPU time of all their threads, user and system, in seconds. */
double processes_cpu_s(const struct processes *processes);

/* Proportional set size of all of them, in bytes: shared pages are divided among who shares them.
 */
double processes_pss(const struct processes *processes);

#endif
