/* The machine and the process: time, memory, threads, CPU level, interruption. */
#ifndef TR_BASE_SYSTEM_H
#define TR_BASE_SYSTEM_H

#include "base/error.h"

/* Seconds on a monotonic clock, and since 1970. */
double tr_seconds(void);
double tr_wall_seconds(void);

/* Bytes resident now, and available on the machine without swapping (respecting a cgroup
 * limit). 0 when the system does not tell. */
size_t tr_memory_resident(void);
size_t tr_memory_available(void);

/* Number of threads that parallel loops use: what tr_threads_set (tallrec.h) said. Results never depend on it. */
int tr_threads(void);

/* Bytes of level-2 cache of one core (a conservative 256 KiB when unknown). */
size_t tr_cache_l2(void);

/* Instruction-set levels of the kernel table, in ascending order. */
typedef enum {
    TR_CPU_ORACLE = 0, /* the slow, obvious versions; never chosen by itself */
    TR_CPU_GENERIC,    /* portable vectors of the baseline compiler target */
    TR_CPU_AVX2,       /* AVX2 + FMA + F16C */
    TR_CPU_AVX512,     /* AVX-512 F, BW, DQ, VL */
} tr_cpu_level;

/* The highest level this processor has, or the lower one that the environment variable TALLREC_CPU names
 * (oracle, generic, avx2, avx512). A level the processor lacks, or an unknown name, is TR_ERR_USAGE. */
tr_status tr_cpu_detect(tr_cpu_level *out, tr_error *err);
const char *tr_cpu_name(tr_cpu_level level);
bool tr_cpu_has(tr_cpu_level level);

/* Ctrl-C. After tr_interrupt_catch (tallrec.h) the first SIGINT or SIGTERM sets this, the second ends the process. */
bool tr_interrupted(void);

#endif
