/* This file drives a fuzz target without clang: it mutates the seeds in a repeatable way and prints TAP.
 *
 *   test_fuzz_NAME             the short run of the suite
 *   test_fuzz_NAME --run N     only run number N, to repeat a crash
 *   test_fuzz_NAME FILE...     the target on these files, e.g. what libFuzzer found
 *
 * Environment: TALLREC_FUZZ_RUNS (200000) and TALLREC_FUZZ_SECONDS (3), whichever ends first. Run N is a function
 * of N and the seeds alone. A run that takes ten seconds counts as hanging. */
#include "fuzz.h"

#include "base/file.h"
#include "base/rng.h"
#include "base/system.h"

#include <signal.h>

enum { MAX_INPUT = 1 << 16, MAX_SEEDS = 64, MAX_STACKED = 6, HANG_SECONDS = 10 };

static struct {
    uint8_t *data;
    size_t size;
} seeds[MAX_SEEDS];

/* When something goes wrong, say which run it was. */

static const char *program;
static volatile uint32_t current_run;

static void report_death(void)
{
    char text[300];
    int n = snprintf(text, sizeof text, "not ok 1 - run %u\n# repeat it with: %s --run %u\n", current_run, program,
                     current_run);
    if (write(STDOUT_FILENO, text, (size_t)n) < 0) return;
}

static void on_signal(int number)
{
    report_death();
    signal(number, SIG_DFL);
    raise(number);
}

/* The sanitizers handle signals themselves and call back; undefined behaviour ends the run as well. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "halt_on_error=1:abort_on_error=1:print_stacktrace=1";
}

static void watch_for_death(void)
{
    signal(SIGALRM, on_signal);
    signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(report_death);
        return;
    }
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
    signal(SIGILL, on_signal);
}

/* Mutations. The numbers of run N come from stream N. */

typedef struct {
    uint8_t data[MAX_INPUT];
    size_t size;
    uint32_t run;
    uint64_t drawn;
} input;

static uint32_t below(input *in, uint32_t bound)
{
    return tr_rng_below(0, TR_RNG_TEST, in->run, in->drawn++, bound);
}

/* Any place in the input; 0 when it is empty. */
static size_t any_place(input *in)
{
    return in->size ? below(in, (uint32_t)in->size) : 0;
}

static void flip_bit(input *in)
{
    if (in->size) in->data[any_place(in)] ^= (uint8_t)(1 << below(in, 8));
}

static void change_byte(input *in)
{
    if (in->size) in->data[any_place(in)] = (uint8_t)below(in, 256);
}

/* Overwrites a little-endian number of 1, 2, 4 or 8 bytes by one at which arithmetic tends to go wrong. */
static void plant_number(input *in)
{
    static const uint64_t numbers[] = {0, 1, 2, 3, 31, 32, 33, 127, 128, 255, 256, 32767, 65535, 1u << 30,
                                       INT32_MAX,
                                       1u << 31, UINT32_MAX, 1ull << 32, 1ull << 61, INT64_MAX, 1ull << 63,
                                       UINT64_MAX - 31,
                                       UINT64_MAX - 7, UINT64_MAX};
    size_t bytes = (size_t)1 << below(in, 4);
    if (in->size < bytes) return;
    memcpy(in->data + below(in, (uint32_t)(in->size - bytes + 1)),
           &numbers[below(in, sizeof numbers / sizeof *numbers)], bytes);
}

static void add_to_byte(input *in)
{
    if (in->size) in->data[any_place(in)] += (uint8_t)(below(in, 2) ? 1 + below(in, 8) : 256 - 1 - below(in, 8));
}

static void cut_end(input *in)
{
    in->size = any_place(in);
}

static void delete_range(input *in)
{
    if (!in->size) return;
    size_t start = any_place(in), n = 1 + below(in, 16);
    if (n > in->size - start) n = in->size - start;
    memmove(in->data + start, in->data + start + n, in->size - start - n);
    in->size -= n;
}

/* Inserts bytes that may come from the input itself. */
static void insert(input *in, const uint8_t *bytes, size_t n)
{
    uint8_t copy[256];
    if (n > sizeof copy) n = sizeof copy;
    if (n > MAX_INPUT - in->size) n = MAX_INPUT - in->size;
    size_t place = below(in, (uint32_t)in->size + 1);
    memcpy(copy, bytes, n);
    memmove(in->data + place + n, in->data + place, in->size - place);
    memcpy(in->data + place, copy, n);
    in->size += n;
}

static void repeat_range(input *in)
{
    if (!in->size) return;
    size_t start = any_place(in), n = 1 + below(in, 64);
    if (n > in->size - start) n = in->size - start;
    for (uint32_t times = 1 + below(in, 4); times > 0; times--) insert(in, in->data + start, n);
}

/* Inserts a part of a seed. */
static void splice(input *in)
{
    uint32_t s = below(in, (uint32_t)n_fuzz_seeds);
    if (!seeds[s].size) return;
    size_t start = below(in, 2) ? 0 : below(in, (uint32_t)seeds[s].size);
    insert(in, seeds[s].data + start, seeds[s].size - start);
}

static void mutate(input *in, uint32_t run)
{
    static void (*const mutations[])(input *) = {flip_bit, change_byte, plant_number, plant_number, add_to_byte,
                                                 cut_end,
                                                 delete_range, repeat_range, splice};
    in->run = run;
    in->drawn = 0;
    size_t s = run % n_fuzz_seeds;
    in->size = seeds[s].size;
    memcpy(in->data, seeds[s].data, in->size);
    if (run < n_fuzz_seeds) return; /* each seed as it is, first */
    for (uint32_t n = 1 + below(in, MAX_STACKED); n > 0; n--)
        mutations[below(in, sizeof mutations / sizeof *mutations)](in);
}

/* Runs the target on a copy of exactly the input's size, so that a read too far is noticed. */
static void run_target(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) abort();
    memcpy(copy, data, size);
    alarm(HANG_SECONDS);
    LLVMFuzzerTestOneInput(copy, size);
    alarm(0);
    free(copy);
}

static void load_file(const char *path, uint8_t **data, size_t *size)
{
    tr_error err;
    if (tr_file_read(path, 1 << 30, (char **)data, size, &err) == TR_OK) return;
    printf("Bail out! %s\n", err.message);
    exit(1);
}

static void load_seeds(void)
{
    const char *root = getenv("TALLREC_TEST_SOURCE");
    if (n_fuzz_seeds == 0 || n_fuzz_seeds > MAX_SEEDS) abort();
    for (size_t i = 0; i < n_fuzz_seeds; i++) {
        char path[4096];
        if (fuzz_seeds[i].size != SIZE_MAX) {
            seeds[i].data = (uint8_t *)fuzz_seeds[i].text;
            seeds[i].size = fuzz_seeds[i].size;
            continue;
        }
        snprintf(path, sizeof path, "%s/test/%s", root && *root ? root : ".", fuzz_seeds[i].text);
        load_file(path, &seeds[i].data, &seeds[i].size);
        if (seeds[i].size > MAX_INPUT) seeds[i].size = MAX_INPUT;
    }
}

static void free_seeds(void)
{
    for (size_t i = 0; i < n_fuzz_seeds; i++)
        if (fuzz_seeds[i].size == SIZE_MAX) free(seeds[i].data);
}

static void run_files(char **paths, int n)
{
    for (int i = 0; i < n; i++) {
        uint8_t *data;
        size_t size;
        load_file(paths[i], &data, &size);
        current_run = (uint32_t)i;
        run_target(data, size);
        free(data);
        printf("# %s\n", paths[i]);
    }
}

static uint32_t number_from(const char *variable, uint32_t fallback)
{
    const char *text = getenv(variable);
    return text && *text ? (uint32_t)strtoul(text, NULL, 10) : fallback;
}

int main(int argc, char **argv)
{
    static input in;
    program = argv[0];
    printf("1..1\n");
    fflush(stdout);
    watch_for_death();
    load_seeds();
    uint32_t first = 0, end = number_from("TALLREC_FUZZ_RUNS", 200000);
    double stop = tr_seconds() + number_from("TALLREC_FUZZ_SECONDS", 3);
    if (argc == 3 && strcmp(argv[1], "--run") == 0) {
        first = (uint32_t)strtoul(argv[2], NULL, 10);
        end = first + 1;
    } else if (argc > 1) {
        run_files(argv + 1, argc - 1);
        end = 0;
    }
    uint32_t run = first;
    for (; run < end && (run % 64 != 0 || tr_seconds() < stop); run++) {
        current_run = run;
        mutate(&in, run);
        run_target(in.data, in.size);
    }
    printf("ok 1 - %u mutated inputs from %zu seeds\n", run - first, n_fuzz_seeds);
    free_seeds();
    return 0;
}
