/* cpus.h — how many processors this process may use: of the machine's those that the scheduler lets
 * it have (sched_setaffinity, cpusets), and of their time what its control groups grant.
 */
#ifndef SHOAL_WORKER_CPUS_H
#define SHOAL_WORKER_CPUS_H

/* At least 1; a quota of half a processor is 1, of one and a half 2. WHY (a static text) says what
 * decides: "cores", "affinity" or "cgroup". */
int cpus_usable (const char **why);

/* Processors, in thousandths, that a version 2 group's cpu.max grants ("50000 100000": 500); -1:
 * any, or what this isn't. */
long cpus_of_max (const char *text);

#endif
