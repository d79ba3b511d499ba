/* What every test file needs: cmocka with its odd include order, and a few helpers.
 * A test file defines static tests and ends with TR_TEST_MAIN(cmocka_unit_test(test_...), ...). */
#ifndef TR_TEST_TESTING_H
#define TR_TEST_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

/* Fails the test with the whole error when a call did not succeed. */
#define assert_ok(call, err)                                                                        \
    do {                                                                                            \
        if ((call) != TR_OK) fail_msg("%s: %s [%s] (%s)", #call, (err).message, (err).where, (err).hint); \
    } while (0)

/* The call must fail with that status, and its message must contain the text. */
#define assert_error(call, expected, text, err)                                                     \
    do {                                                                                            \
        (err) = (tr_error){0};                                                                      \
        tr_status got_ = (call);                                                                    \
        if (got_ != (expected)) fail_msg("%s: status %d, expected %d (%s)", #call, got_, expected, (err).message); \
        if (!strstr((err).message, text) && !strstr((err).where, text) && !strstr((err).hint, text)) \
            fail_msg("%s: '%s' [%s] does not mention '%s'", #call, (err).message, (err).where, text); \
    } while (0)

/* Leaves the test as skipped, with the reason on standard error; test/run.py shows it, and counts it as a
 * failure when the environment has CI=true. */
#define skip_because(...)                      \
    do {                                       \
        fprintf(stderr, "# skipped: ");        \
        fprintf(stderr, __VA_ARGS__);          \
        fprintf(stderr, "\n");                 \
        skip();                                \
    } while (0)

/* Path of a file that test/run.py announces: TALLREC_TEST_MODEL (the SmolLM2 GGUF), TALLREC_TEST_ML100K (folder of
 * RecBole atomic files), TALLREC_TEST_SHARED (published rows and pristine data). NULL when absent. */
static inline const char *test_path(const char *variable)
{
    const char *path = getenv(variable);
    return path && *path ? path : NULL;
}

/* A file below test/ of the source tree. Static buffer. */
static inline const char *test_file(const char *name)
{
    static char path[4096];
    const char *root = getenv("TALLREC_TEST_SOURCE");
    snprintf(path, sizeof path, "%s/test/%s", root && *root ? root : ".", name);
    return path;
}

#define TR_TEST_MAIN(...)                                          \
    int main(void)                                                 \
    {                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};           \
        cmocka_set_message_output(CM_OUTPUT_TAP);                  \
        return cmocka_run_group_tests(tests, NULL, NULL);          \
    }

#endif
