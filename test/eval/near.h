/* Comparison of doubles: cmocka's assert_float_equal rounds both sides to float. */
#ifndef TR_TEST_EVAL_NEAR_H
#define TR_TEST_EVAL_NEAR_H

#include <math.h>

#define assert_near(got, expected, tolerance)                                                             \
    do {                                                                                                  \
        double got_value_ = (got), expected_value_ = (expected);                                          \
        if (!(fabs(got_value_ - expected_value_) <= (tolerance)))                                         \
            fail_msg("%s is %.17g, expected %.17g", #got, got_value_, expected_value_);                   \
    } while (0)

#endif
