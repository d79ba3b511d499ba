/* This file implements what the program asks of the machine. */
#include "base/system.h"

#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static double clock_seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double tr_seconds(void) { return clock_seconds(CLOCK_MONOTONIC); }
double tr_wall_seconds(void) { return clock_seconds(CLOCK_REALTIME); }

/* ---- memory ---- */

static size_t read_number(const char *path, const char *key)
{
    FILE *stream = fopen(path, "r");
    if (!stream) return 0;
    char line[256];
    unsigned long long value = 0;
    size_t key_size = key ? strlen(key) : 0;
    while (fgets(line, sizeof line, stream))
        if (!key || strncmp(line, key, key_size) == 0) {
            value = strtoull(line + key_size, NULL, 10);
            break;
        }
    fclose(stream);
    return (size_t)value;
}

size_t tr_memory_resident(void) { return read_number("/proc/self/status", "VmRSS:") * 1024; }

size_t tr_memory_available(void)
{
    size_t available = read_number("/proc/meminfo", "MemAvailable:") * 1024;
    size_t limit = read_number("/sys/fs/cgroup/memory.max", NULL); /* "max" reads as 0 */
    size_t used = read_number("/sys/fs/cgroup/memory.current", NULL);
    if (limit && limit > used && (!available || limit - used < available)) available = limit - used;
    return available;
}

/* ---- threads ---- */

void tr_threads_set(int n) { omp_set_num_threads(n > 0 ? n : omp_get_num_procs()); }
int tr_threads(void) { return omp_get_max_threads(); }

/* ---- processor ---- */

size_t tr_cache_l2(void)
{
    static size_t bytes;
    if (bytes) return bytes;
    long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (size <= 0) size = (long)read_number("/sys/devices/system/cpu/cpu0/cache/index2/size", NULL) * 1024;
    return bytes = size >= 64 * 1024 ? (size_t)size : 256 * 1024;
}

static const char *const level_name[] = {"oracle", "generic", "avx2", "avx512"};

const char *tr_cpu_name(tr_cpu_level level) { return level_name[level]; }

#if defined(__x86_64__)
/* F16C is no name that clang's __builtin_cpu_supports knows. */
static bool has_f16c(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & bit_F16C;
}
#endif

bool tr_cpu_has(tr_cpu_level level)
{
    if (level <= TR_CPU_GENERIC) return true;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    if (level == TR_CPU_AVX2) return avx2;
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

tr_status tr_cpu_detect(tr_cpu_level *out, tr_error *err)
{
    const char *forced = getenv("TALLREC_CPU");
    if (forced && *forced) {
        for (int level = TR_CPU_ORACLE; level <= TR_CPU_AVX512; level++)
            if (strcmp(forced, level_name[level]) == 0) {
                if (!tr_cpu_has((tr_cpu_level)level)) {
                    tr_fail(err, TR_ERR_USAGE, "TALLREC_CPU=%s: this processor lacks those instructions", forced);
                    return tr_hint(err, "unset TALLREC_CPU to let the program choose");
                }
                *out = (tr_cpu_level)level;
                return TR_OK;
            }
        tr_fail(err, TR_ERR_USAGE, "TALLREC_CPU=%s is not a level", forced);
        return tr_hint(err, "use oracle, generic, avx2 or avx512, or unset it");
    }
    *out = TR_CPU_GENERIC;
    for (int level = TR_CPU_AVX2; level <= TR_CPU_AVX512; level++)
        if (tr_cpu_has((tr_cpu_level)level)) *out = (tr_cpu_level)level;
    return TR_OK;
}

/* ---- interruption ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    if (interrupted) _exit(128 + number);
    interrupted = 1;
}

void tr_interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool tr_interrupted(void) { return interrupted != 0; }
