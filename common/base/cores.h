/* cores: how many of the machine's cores this process may run on. Knows of affinity (taskset,
 * cpusets of containers), as nproc does, and not of shares of time (cpu.max). */
#ifndef YUKIZURI_BASE_CORES_H
#define YUKIZURI_BASE_CORES_H

/* At least 1. */
long cores_allowed(void);

#endif
