/* This program measures the kernels of this processor's level: the register peak of multiply-add as the yardstick,
 * both products with frozen weights, attention, decoding. Rates are the best of repeated calls; percentages refer to
 * the peak measured in the same process with the same number of threads. It measures and does not judge; machines that
 * do something else meanwhile give small numbers.
 *
 *     build/bench/kernels [--json] [--threads N] [--rows M] [--seconds S] [--only gemm|attention|dequantize]
 *
 * TALLREC_CPU chooses a lower level. */
#include "base/memory.h"
#include "base/system.h"
#include "format/json.h"
#include "kernel/linear.h"
#include "random_weights.h"

#include <math.h>
#include <omp.h>
#include <popt.h>
#include <stdlib.h>

typedef struct {
    int threads, rows, json;
    double seconds; /* spent on each measurement, at least one call */
    const char *only;
    const tr_kernels *kernels;
    double peak;     /* GFLOP/s of the level with the threads at hand */
    json_t *results;
    uint64_t random_state;
} bench;

/* ---- measuring ---- */

/* Seconds of the fastest call. */
static double fastest(const bench *b, void (*call)(void *), void *user)
{
    const double end = tr_seconds() + b->seconds;
    double best = INFINITY, before;
    call(user); /* pages and caches */
    do {
        before = tr_seconds();
        call(user);
        best = fmin(best, tr_seconds() - before);
    } while (tr_seconds() < end);
    return best;
}

/* Prints a row of the table and keeps it for --json. of_peak: the rate is in GFLOP/s. */
static void report(bench *b, const char *what, const char *type, const char *shape, double rate, const char *unit,
                   bool of_peak)
{
    json_t *row = json_pack("{s:s, s:s, s:s, s:i, s:f, s:s}", "what", what, "type", type, "shape", shape, "threads",
                            tr_threads(), "rate", rate, "unit", unit);
    if (row && of_peak && b->peak > 0) json_object_set_new(row, "of_peak", json_real(rate / b->peak));
    json_array_append_new(b->results, row);
    if (b->json) return;
    printf("%-18s  %-6s  %-22s  %7d  %9.2f %-7s", what, type, shape, tr_threads(), rate, unit);
    if (of_peak && b->peak > 0) printf("  %5.1f %%", 100 * rate / b->peak);
    printf("\n");
    fflush(stdout);
}

static float *random_floats(bench *b, size_t n)
{
    float *x;
    tr_error err;
    if (tr_alloc(&x, n, sizeof *x, "numbers to work on", &err) != TR_OK) {
        fprintf(stderr, "kernels: %s\n", err.message);
        exit(1);
    }
    for (size_t i = 0; i < n; i++) x[i] = random_value(&b->random_state);
    return x;
}

/* ---- the peak ---- */

/* Twelve accumulators hide the latency of two units; they stay in registers. What the chains converge to is
 * returned, or the compiler would remove them. */
enum { CHAINS = 12 };
#define STEP(i) s##i = s##i * a + b
#define DEFINE_PEAK(name, lanes, attributes)                                                                   \
    attributes static float name(long rounds, float x)                                                         \
    {                                                                                                          \
        typedef float vec __attribute__((vector_size((lanes) * 4)));                                           \
        const vec a = x - (vec){0}, b = (1 - x) - (vec){0};                                                    \
        vec s0 = b, s1 = b, s2 = b, s3 = b, s4 = b, s5 = b, s6 = b, s7 = b, s8 = b, s9 = b, s10 = b, s11 = b;  \
        for (long i = 0; i < rounds; i++) {                                                                    \
            STEP(0), STEP(1), STEP(2), STEP(3), STEP(4), STEP(5);                                              \
            STEP(6), STEP(7), STEP(8), STEP(9), STEP(10), STEP(11);                                            \
            __asm__ volatile("" : PINNED(0, 1, 2, 3), PINNED(4, 5, 6, 7), PINNED(8, 9, 10, 11));               \
        }                                                                                                      \
        vec sum = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11;                                 \
        return sum[0] + sum[(lanes) - 1];                                                                      \
    }

/* Keeps equal chains from being merged into one. */
#if defined(__x86_64__)
#define IN_REGISTER "+v"
#elif defined(__aarch64__)
#define IN_REGISTER "+w"
#else
#define IN_REGISTER "+m"
#endif
#define PINNED(i, j, k, l) IN_REGISTER(s##i), IN_REGISTER(s##j), IN_REGISTER(s##k), IN_REGISTER(s##l)

DEFINE_PEAK(peak_generic, 4, )
#if defined(__x86_64__)
DEFINE_PEAK(peak_avx2, 8, __attribute__((target("avx2,fma"))))
DEFINE_PEAK(peak_avx512, 16, __attribute__((target("avx512f,avx512vl"))))
#endif

typedef struct {
    float (*run)(long rounds, float x);
    long rounds;
    volatile float sink, x;
} peak_work;

static void run_peak(void *user)
{
    peak_work *work = user;
#pragma omp parallel
    {
        float result = work->run(work->rounds, work->x);
        if (omp_get_thread_num() == 0) work->sink = result;
    }
}

/* GFLOP/s of a level with all threads. */
static double measure_peak(bench *b, tr_cpu_level level)
{
    peak_work work = {.run = peak_generic, .rounds = 1000000, .x = 0.5f};
    int lanes = 4;
#if defined(__x86_64__)
    if (level == TR_CPU_AVX2) work.run = peak_avx2, lanes = 8;
    if (level == TR_CPU_AVX512) work.run = peak_avx512, lanes = 16;
#endif
    return 2e-9 * CHAINS * lanes * (double)work.rounds * tr_threads() / fastest(b, run_peak, &work);
}

static void measure_peaks(bench *b)
{
    for (int level = TR_CPU_GENERIC; level <= TR_CPU_AVX512; level++) {
        if (!tr_cpu_has((tr_cpu_level)level)) continue;
        double peak = measure_peak(b, (tr_cpu_level)level);
        if (b->kernels->level == (tr_cpu_level)level) b->peak = peak;
        report(b, "multiply-add peak", "F32", tr_cpu_name((tr_cpu_level)level), peak, "GFLOP/s", false);
    }
}

/* ---- products with frozen weights ---- */

static const struct {
    int n_out, n_in;
} gemm_shapes[] = {{576, 1536}, {2048, 2048}, {4096, 4096}, {4096, 11008}};
static const tr_type gemm_types[] = {TR_TYPE_Q4_1, TR_TYPE_Q8_0, TR_TYPE_F16, TR_TYPE_F32};
enum { LARGEST_OUT = 4096, LARGEST_IN = 11008 };

typedef struct {
    tr_linear linear;
    tr_matrix w;
    const float *from;
    float *to;
    int rows;
} gemm_work;

static void run_forward(void *user)
{
    gemm_work *g = user;
    tr_linear_forward(&g->linear, &g->w, g->from, (size_t)g->w.n_in, g->rows, g->to, (size_t)g->w.n_out, false);
}

static void run_backward(void *user)
{
    gemm_work *g = user;
    tr_linear_backward(&g->linear, &g->w, g->from, (size_t)g->w.n_out, g->rows, g->to, (size_t)g->w.n_in, false);
}

static void measure_gemm(bench *b)
{
    const size_t stride = tr_linear_scratch(b->kernels), n = (size_t)b->rows * LARGEST_IN;
    float *from = random_floats(b, n), *to = random_floats(b, n);
    float *scratch = random_floats(b, stride * (size_t)tr_threads() / sizeof(float));
    float *weights = random_floats(b, (size_t)LARGEST_OUT * LARGEST_IN);
    for (size_t t = 0; t < sizeof gemm_types / sizeof *gemm_types; t++) {
        const tr_type type = gemm_types[t];
        random_weights(type, (uint8_t *)weights, LARGEST_OUT * tr_type_row_bytes(type, LARGEST_IN), &b->random_state);
        for (size_t s = 0; s < sizeof gemm_shapes / sizeof *gemm_shapes; s++) {
            const int n_out = gemm_shapes[s].n_out, n_in = gemm_shapes[s].n_in;
            gemm_work work = {.linear = {b->kernels, (uint8_t *)scratch, stride},
                              .from = from, .to = to, .rows = b->rows,
                              .w = {type, (uint8_t *)weights, n_out, n_in, tr_type_row_bytes(type, (size_t)n_in)}};
            const double work_gflop = 2e-9 * b->rows * (double)n_out * n_in;
            char shape[32];
            snprintf(shape, sizeof shape, "%d x %d x %d", b->rows, n_out, n_in);
            report(b, "linear forward", tr_type_name((uint32_t)type), shape,
                   work_gflop / fastest(b, run_forward, &work), "GFLOP/s", true);
            report(b, "linear backward", tr_type_name((uint32_t)type), shape,
                   work_gflop / fastest(b, run_backward, &work), "GFLOP/s", true);
        }
    }
    free(from);
    free(to);
    free(scratch);
    free(weights);
}

/* ---- attention ---- */

enum { ATTENTION_TOKENS = 512, ATTENTION_SEQUENCES = 2 };
static const tr_attention_shape attention_shapes[] = {
    {.n_heads = 9, .n_kv_heads = 3, .head_dim = 64},   /* SmolLM2 135M */
    {.n_heads = 32, .n_kv_heads = 8, .head_dim = 64},  /* Llama 3.2 1B */
    {.n_heads = 32, .n_kv_heads = 8, .head_dim = 128}, /* Llama 3.1 8B */
};

typedef struct {
    const tr_kernels *kernels;
    tr_attention_shape shape;
    float *q, *k, *v, *out, *lse, *dout, *dq, *dk, *dv, *scratch;
    size_t scratch_stride;
    bool backward;
} attention_work;

/* One causal sequence and one key head: no two units write to the same place. */
static void run_unit(const attention_work *a, int sequence, int kv_head, float *scratch)
{
    const tr_range range = {.start = sequence * ATTENTION_TOKENS, .length = ATTENTION_TOKENS};
    for (int first = 0; first < ATTENTION_TOKENS; first += TR_ATTENTION_LANES) {
        tr_attention_block block = {.n_queries = TR_ATTENTION_LANES, .range = &range, .n_ranges = 1};
        for (int i = 0; i < TR_ATTENTION_LANES; i++) block.node[i] = block.row[i] = range.start + first + i;
        if (a->backward)
            a->kernels->attention_backward(&a->shape, &block, kv_head, a->q, a->k, a->v, a->out, a->lse, a->dout, a->dq,
                                           a->dk, a->dv, scratch);
        else
            a->kernels->attention_forward(&a->shape, &block, kv_head, a->q, a->k, a->v, a->out, a->lse, scratch);
    }
}

static void run_attention(void *user)
{
    const attention_work *a = user;
#pragma omp parallel for schedule(dynamic, 1)
    for (int unit = 0; unit < ATTENTION_SEQUENCES * a->shape.n_kv_heads; unit++)
        run_unit(a, unit / a->shape.n_kv_heads, unit % a->shape.n_kv_heads,
                 a->scratch + (size_t)omp_get_thread_num() * a->scratch_stride);
}

/* Products with visible keys only: two forward; backward three more, and the scores once again. */
static void measure_attention(bench *b)
{
    for (size_t s = 0; s < sizeof attention_shapes / sizeof *attention_shapes; s++) {
        attention_work a = {.kernels = b->kernels, .shape = attention_shapes[s]};
        const tr_attention_shape *shape = &a.shape;
        const size_t nodes = ATTENTION_SEQUENCES * ATTENTION_TOKENS;
        const size_t wide = nodes * (size_t)(shape->n_heads * shape->head_dim);
        const size_t narrow = nodes * (size_t)(shape->n_kv_heads * shape->head_dim);
        a.shape.scale = 1 / sqrtf((float)shape->head_dim);
        a.scratch_stride = (tr_attention_scratch(shape) + 15) / 16 * 16;
        float **all[] = {&a.q, &a.k, &a.v, &a.out, &a.lse, &a.dout, &a.dq, &a.dk, &a.dv, &a.scratch};
        const size_t sizes[] = {wide, narrow, narrow, wide, nodes * (size_t)shape->n_heads, wide, wide, narrow, narrow,
                                a.scratch_stride * (size_t)tr_threads()};
        for (int i = 0; i < 10; i++) *all[i] = random_floats(b, sizes[i]);

        const double pairs = ATTENTION_SEQUENCES * 0.5 * ATTENTION_TOKENS * (ATTENTION_TOKENS + 1.0) * shape->n_heads;
        const double product_gflop = 2e-9 * pairs * shape->head_dim;
        char name[40];
        snprintf(name, sizeof name, "%d/%d heads, %d, %d", shape->n_heads, shape->n_kv_heads, shape->head_dim,
                 ATTENTION_TOKENS);
        double rate = 2 * product_gflop / fastest(b, run_attention, &a);
        report(b, "attention forward", "F32", name, rate, "GFLOP/s", true);
        a.backward = true;
        rate = 5 * product_gflop / fastest(b, run_attention, &a);
        report(b, "attention backward", "F32", name, rate, "GFLOP/s", true);
        for (int i = 0; i < 10; i++) free(*all[i]);
    }
}

/* ---- decoding ---- */

enum { ROW = 4096, DECODED_ROWS = 8 }; /* a piece that stays in cache */

typedef struct {
    const tr_kernels *kernels;
    tr_type type;
    const uint8_t *source;
    float *out;
} dequantize_work;

static void run_dequantize(void *user)
{
    const dequantize_work *d = user;
    const size_t bytes = tr_type_row_bytes(d->type, ROW);
    for (int repeat = 0; repeat < 16; repeat++)
        for (int i = 0; i < DECODED_ROWS; i++)
            d->kernels->dequantize(d->type, d->source + (size_t)i * bytes, d->out + (size_t)i * ROW, ROW);
}

/* By one thread; GB/s of float32 written. */
static void measure_dequantize(bench *b)
{
    float *source = random_floats(b, DECODED_ROWS * ROW), *out = random_floats(b, DECODED_ROWS * ROW);
    for (int t = 0; t < N_TYPES; t++) {
        dequantize_work work = {b->kernels, every_type[t], (const uint8_t *)source, out};
        const size_t bytes = DECODED_ROWS * tr_type_row_bytes(work.type, ROW);
        random_weights(work.type, (uint8_t *)source, bytes, &b->random_state);
        const double gigabytes = 1e-9 * 16 * DECODED_ROWS * ROW * sizeof(float);
        report(b, "dequantize", tr_type_name((uint32_t)work.type), "8 rows of 4096",
               gigabytes / fastest(b, run_dequantize, &work), "GB/s", false);
    }
    free(source);
    free(out);
}

/* ---- the program ---- */

static bool wanted(const bench *b, const char *part) { return !b->only || strcmp(b->only, part) == 0; }

static void measure_all(bench *b)
{
    if (!b->json) printf("%-18s  %-6s  %-22s  threads       rate          of peak\n", "", "type", "shape");
    for (int threads = 1;; threads = b->threads) {
        tr_threads_set(threads);
        measure_peaks(b);
        if (wanted(b, "gemm")) measure_gemm(b);
        if (wanted(b, "attention")) measure_attention(b);
        if (wanted(b, "dequantize") && threads == 1) measure_dequantize(b);
        if (threads == b->threads) break;
    }
}

static bool parse(bench *b, int argc, const char **argv)
{
    const struct poptOption options[] = {
        {"json", 0, POPT_ARG_NONE, &b->json, 0, "print JSON instead of a table", NULL},
        {"threads", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &b->threads, 0, "measure with 1 and N threads", "N"},
        {"rows", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &b->rows, 0, "rows of the linear layers", "M"},
        {"seconds", 0, POPT_ARG_DOUBLE, &b->seconds, 0, "time for each measurement (0.5)", "S"},
        {"only", 0, POPT_ARG_STRING, &b->only, 0, "one part: gemm, attention or dequantize", "PART"},
        POPT_AUTOHELP POPT_TABLEEND};
    poptContext context = poptGetContext("kernels", argc, argv, options, 0);
    const int end = poptGetNextOpt(context);
    const bool known = !b->only || strcmp(b->only, "gemm") == 0 || strcmp(b->only, "attention") == 0 ||
                       strcmp(b->only, "dequantize") == 0;
    const bool good = end == -1 && !poptPeekArg(context) && known && b->threads >= 1 && b->rows >= 1;
    if (!good) poptPrintUsage(context, stderr, 0);
    poptFreeContext(context);
    return good;
}

int main(int argc, const char **argv)
{
    bench b = {.threads = 2, .rows = 512, .seconds = 0.5, .random_state = 1};
    tr_error err = {0};
    if (!parse(&b, argc, argv)) return 2;
    if (tr_kernels_select(&b.kernels, &err) != TR_OK) {
        fprintf(stderr, "kernels: %s (%s)\n", err.message, err.hint);
        return 2;
    }
    b.results = json_array();
    measure_all(&b);
    if (b.json) {
        json_t *all = json_pack("{s:s, s:i, s:i, s:o}", "level", tr_cpu_name(b.kernels->level), "l2_bytes",
                                (int)tr_cache_l2(), "rows", b.rows, "results", b.results);
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        printf("\n");
        json_decref(all);
    } else {
        json_decref(b.results);
    }
    return 0;
}
