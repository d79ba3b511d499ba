/* Prompt templates: how instruction and input become the text that the model reads. */
#ifndef TR_TEXT_PROMPT_H
#define TR_TEXT_PROMPT_H

#include "base/error.h"

/* The Alpaca template as the paper uses it (the literal "  # noqa: E501" included), up to and including
 * "### Response:\n"; the answer follows directly. An empty input takes the form without "### Input:".
 * Source: tloen/alpaca-lora templates as in SAI990323/TALLRec. Caller frees. */
tr_status tr_prompt_alpaca(const char *instruction, const char *input, char **out, tr_error *err);

#endif
