/* Tests of report.html: it is well formed and self-contained whatever the evaluation holds. */
#include "testing.h"

#include "base/file.h"
#include "base/memory.h"
#include "eval/report.h"
#include "eval/report_plot.h"
#include "near.h"
#include "synthetic.h"

#include <ctype.h>
#include <unistd.h>

typedef struct {
    synthetic data;
    tr_evaluation_input input;
    tr_evaluation evaluation;
} fixture;

static fixture *set_up(size_t n_users)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    synthetic_fill(&f->data, n_users, 0.4);
    f->input = synthetic_input(&f->data);
    f->input.n_replicates = 50;
    return f;
}

/* The page of the fixture's input. The caller frees. */
static char *page_of(fixture *f, const tr_curve *curve, const json_t *config, const char *title)
{
    tr_error err = {0};
    tr_str page = {0};
    assert_ok(tr_evaluation_create(&f->evaluation, &f->input, &err), err);
    tr_report report = {.title = title, .evaluation = &f->evaluation, .curve = curve, .config = config,
                        .command = "tallrec tune", .made = "today"};
    assert_ok(tr_report_html(&report, &page, &err), err);
    tr_evaluation_free(&f->evaluation);
    return page.data;
}

/* Every opened element is closed in order; only meta stands alone. */
static void assert_well_formed(const char *page)
{
    char stack[64][16];
    int depth = 0;
    for (const char *p = strchr(page, '<'); p; p = strchr(p + 1, '<')) {
        const char *end = strchr(p, '>');
        char name[16] = {0};
        bool closing = p[1] == '/';
        assert_non_null(end);
        for (int i = 0; i < 15 && isalnum((unsigned char)p[1 + closing + i]); i++) name[i] = p[1 + closing + i];
        if (p[1] == '!' || strcmp(name, "meta") == 0 || end[-1] == '/') continue;
        if (!name[0]) fail_msg("a bare < before '%.30s'", p);
        if (closing) {
            if (!depth) fail_msg("</%s> closes nothing", name);
            if (strcmp(stack[--depth], name) != 0) fail_msg("</%s> closes <%s>", name, stack[depth]);
        } else {
            assert_true(depth < 64);
            memcpy(stack[depth++], name, sizeof name);
        }
    }
    assert_int_equal(depth, 0);
}

static void assert_self_contained(const char *page)
{
    const char *outside[] = {"http:", "https:", "<script", "<link", "@import", "url(", "src="};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (strstr(page, outside[i])) fail_msg("the page mentions %s", outside[i]);
    assert_null(strstr(page, "{{"));
    assert_null(strstr(page, ">nan"));
    assert_null(strstr(page, "\"nan"));
    assert_null(strstr(page, "inf%"));
    assert_true(tr_utf8_valid(page, strlen(page)));
}

static tr_curve curve_of(double *memory, size_t n)
{
    tr_curve c = {.step = memory, .loss = memory + n, .check_step = memory, .check_auc = memory + n, .n_steps = n,
                  .n_checks = n};
    for (size_t i = 0; i < n; i++) memory[i] = (double)i + 1, memory[n + i] = 0.5 + 0.01 * (double)(i % 7);
    return c;
}

static void test_page_is_well_formed_and_self_contained(void **state)
{
    (void)state;
    const size_t users[] = {1, 2, 16, 400};
    double memory[80];
    tr_curve curve = curve_of(memory, 40);
    json_t *config = json_pack("{s:i, s:{s:f, s:[s,s]}, s:n}", "rank", 8, "inner", "lr", 1e-4, "targets", "q", "v",
                               "none");
    for (size_t k = 0; k < sizeof users / sizeof *users; k++) {
        fixture *f = set_up(users[k]);
        char *page = page_of(f, &curve, config, "a run");
        assert_well_formed(page);
        assert_self_contained(page);
        assert_non_null(strstr(page, "inner.targets"));
        const char *headings[] = {"ROC", "AUC within users", "Calibration", "Scores by label", "Training loss",
                                  "Validation AUC"};
        for (size_t h = 0; h < sizeof headings / sizeof *headings; h++) assert_non_null(strstr(page, headings[h]));
        free(page);
        free(f);
    }
    json_decref(config);
}

static void test_page_survives_one_class_no_users_and_equal_scores(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        fixture *f = set_up(16);
        for (size_t i = 0; i < f->data.n; i++) {
            if (kind == 0) f->data.label[i] = 1;
            if (kind == 2) f->data.score[i] = 0;
            if (kind == 3) f->data.score[i] = i % 2 ? 1e300 : -1e300;
        }
        if (kind == 1) f->input.user = NULL, f->input.seen.n = f->input.all.n = 0, f->input.score_base = NULL;
        char *page = page_of(f, NULL, NULL, "a run");
        assert_well_formed(page);
        assert_self_contained(page);
        free(page);
        free(f);
    }
}

static void test_hostile_names_are_escaped(void **state)
{
    (void)state;
    fixture *f = set_up(3);
    const char *evil = "</title><script>alert(\"1\")</script>";
    json_t *config = json_pack("{s:s}", evil, evil);
    snprintf(f->data.user_name[0], sizeof f->data.user_name[0], "<b>&\"é</b>");
    f->input.protocol = json_pack("{s:s}", "data", evil);
    char *page = page_of(f, NULL, config, evil);
    assert_well_formed(page);
    assert_self_contained(page);
    assert_non_null(strstr(page, "&lt;b&gt;&amp;"));
    free(page);
    json_decref(config);
    json_decref(f->input.protocol);
    free(f);
}

static void test_same_evaluation_gives_the_same_bytes(void **state)
{
    (void)state;
    fixture *f = set_up(16);
    char *one = page_of(f, NULL, NULL, "a run"), *two = page_of(f, NULL, NULL, "a run");
    assert_string_equal(one, two);
    free(one);
    free(two);
    free(f);
}

static void test_run_without_evaluation_shows_its_curve(void **state)
{
    (void)state;
    double memory[20];
    tr_curve curve = curve_of(memory, 10);
    tr_report report = {.title = "a run", .curve = &curve};
    tr_str page = {0};
    tr_error err = {0};
    assert_ok(tr_report_html(&report, &page, &err), err);
    assert_well_formed(page.data);
    assert_non_null(strstr(page.data, "Tuned, not yet evaluated"));
    assert_non_null(strstr(page.data, "Training loss"));
    tr_str_free(&page);
    report.curve = NULL;
    assert_error(tr_report_html(&report, &page, &err), TR_ERR_USAGE, "nothing to report", err);
    tr_str_free(&page);
}

static void test_curve_is_read_past_lines_that_are_not_its_own(void **state)
{
    (void)state;
    const char *text = "{\"step\": 1, \"loss\": 2.5, \"lr\": 0.1}\n{\"note\": 1}\n{\"step\": 1, \"valid_auc\": 0.6}\n"
                       "{\"step\": 2, \"loss\": 2, \"valid_auc\": 0.7}\n{\"step\": 3, \"valid_auc\": 0.7}\n"
                       "{\"step\": 4, \"loss\": null}\n{\"step\": 5, \"lo";
    char folder[] = "/tmp/tallrec-test-XXXXXX";
    tr_error err = {0};
    tr_curve curve;
    assert_non_null(mkdtemp(folder));
    char *path = tr_path_join(folder, "metrics.jsonl");
    assert_ok(tr_file_write(path, text, strlen(text), &err), err);
    assert_ok(tr_curve_read(&curve, path, &err), err);
    assert_int_equal(curve.n_steps, 2);
    assert_int_equal(curve.n_checks, 3);
    assert_near(curve.loss[1], 2, 0);
    assert_int_equal(tr_curve_best(&curve), 1);
    tr_curve_free(&curve);
    unlink(path);
    assert_error(tr_curve_read(&curve, path, &err), TR_ERR_IO, "metrics.jsonl", err);
    tr_curve_free(&curve);
    free(path);
    rmdir(folder);
}

static void test_tick_steps_are_round(void **state)
{
    (void)state;
    assert_near(tr_plot_step(1, 5), 0.2, 1e-12);
    assert_near(tr_plot_step(60, 6), 10, 1e-9);
    assert_near(tr_plot_step(0.8, 4), 0.2, 1e-12);
    assert_near(tr_plot_step(7, 8), 1, 1e-12);
    assert_near(tr_plot_step(2400, 6), 500, 1e-9);
    assert_near(tr_plot_step(0, 6), 1, 0);
    for (double range = 1e-6; range < 1e6; range *= 1.37) {
        double step = tr_plot_step(range, 6), leading = step / pow(10, floor(log10(step * 1.0001)));
        assert_true(range / step <= 6.0001 && range / step > 1.9);
        assert_true(fabs(leading - 1) < 1e-6 || fabs(leading - 2) < 1e-6 || fabs(leading - 5) < 1e-6);
    }
}

TR_TEST_MAIN(cmocka_unit_test(test_page_is_well_formed_and_self_contained),
             cmocka_unit_test(test_page_survives_one_class_no_users_and_equal_scores),
             cmocka_unit_test(test_hostile_names_are_escaped),
             cmocka_unit_test(test_same_evaluation_gives_the_same_bytes),
             cmocka_unit_test(test_run_without_evaluation_shows_its_curve),
             cmocka_unit_test(test_curve_is_read_past_lines_that_are_not_its_own),
             cmocka_unit_test(test_tick_steps_are_round))
