/* Tests that prompts are byte for byte those of the published recipe. */
#include "testing.h"
#include "text/prompt.h"

static void test_alpaca_with_input_is_the_published_text(void **state)
{
    (void)state;
    tr_error err;
    char *prompt;
    assert_ok(tr_prompt_alpaca("Do\nthis.", "With that?", &prompt, &err), err);
    assert_string_equal(
        prompt,
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.  # noqa: E501\n\n"
        "### Instruction:\nDo\nthis.\n\n### Input:\nWith that?\n\n### Response:\n");
    free(prompt);
}

static void test_alpaca_without_input_has_no_input_section(void **state)
{
    (void)state;
    tr_error err;
    static const char *const expected =
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.  # noqa: E501\n\n### Instruction:\nDo this.\n\n### Response:\n";
    static const char *const inputs[] = {"", NULL};
    for (int i = 0; i < 2; i++) {
        char *prompt;
        assert_ok(tr_prompt_alpaca("Do this.", inputs[i], &prompt, &err), err);
        assert_string_equal(prompt, expected);
        free(prompt);
    }
}

TR_TEST_MAIN(cmocka_unit_test(test_alpaca_with_input_is_the_published_text),
             cmocka_unit_test(test_alpaca_without_input_has_no_input_section))
