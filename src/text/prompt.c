/* This file writes the Alpaca prompt template. */
#include "text/prompt.h"

#include "base/str.h"

#define PARAGRAPH_WITH_INPUT                                                             \
    "Below is an instruction that describes a task, paired with an input that provides " \
    "further context. Write a response that appropriately completes the request."
#define PARAGRAPH_ALONE                               \
    "Below is an instruction that describes a task. " \
    "Write a response that appropriately completes the request."
/* A linter's comment that slipped into the string of the original program, and so into every prompt that the
 * published models were trained on. */
#define SLIP "  # noqa: E501\n\n"

tr_status tr_prompt_alpaca(const char *instruction, const char *input, char **out, tr_error *err)
{
    bool has_input = input && *input;
    tr_str text = {0};
    *out = NULL;
    tr_str_add(&text, has_input ? PARAGRAPH_WITH_INPUT SLIP : PARAGRAPH_ALONE SLIP);
    tr_str_add(&text, "### Instruction:\n");
    tr_str_add(&text, instruction);
    if (has_input) {
        tr_str_add(&text, "\n\n### Input:\n");
        tr_str_add(&text, input);
    }
    tr_str_add(&text, "\n\n### Response:\n");
    tr_status status = tr_str_check(&text, err);
    if (status == TR_OK) *out = text.data;
    else tr_str_free(&text);
    return status;
}
