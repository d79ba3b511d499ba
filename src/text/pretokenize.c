/* This file holds the table of pre-tokenizers and runs their patterns. To add a family, add a row. */
#include "text/pretokenize.h"

#include "base/memory.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unicode White_Space, which is what \s means to Hugging Face's expressions. PCRE2's own \s differs (it has
 * U+180E), so it is spelt out: inside brackets. */
#define SPACE "\\t-\\r\\x{85}\\p{Z}"
#define NOT_SPACE_LETTER_NUMBER "[^" SPACE "\\p{L}\\p{N}]"

#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"

/* The expression of GPT-2 (Radford et al., 2019). */
#define GPT2                          \
    CONTRACTIONS                      \
    "| ?\\p{L}+"                      \
    "| ?\\p{N}+"                      \
    "| ?" NOT_SPACE_LETTER_NUMBER "+" \
    "|[" SPACE "]+(?![^" SPACE "])"   \
    "|[" SPACE "]+"

/* SmolLM cuts out every numeric character first and then applies GPT-2's expression to what lies between. In one
 * expression: a number takes one character and no space before it, and white space that ends at a
 * number ends its stretch of text, so that nothing of it is left for the next piece. */
#define SMOLLM                            \
    CONTRACTIONS                          \
    "| ?\\p{L}+"                          \
    "|\\p{N}"                             \
    "| ?" NOT_SPACE_LETTER_NUMBER "+"     \
    "|[" SPACE "]+(?![^" SPACE "\\p{N}])" \
    "|[" SPACE "]+"

/* The expression of Llama 3 (from tiktoken's cl100k_base) and Qwen 2, which differ in the digits of one piece. */
#define CL100K(digits)                                    \
    "(?i:" CONTRACTIONS ")"                               \
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"                      \
    "|" digits                                            \
    "| ?" NOT_SPACE_LETTER_NUMBER "+[\\r\\n]*"            \
    "|[" SPACE "]*[\\r\\n]+"                              \
    "|[" SPACE "]+(?![^" SPACE "])"                       \
    "|[" SPACE "]+"

static const tr_pretokenizer_family families[] = {
    {.names = {"smollm"}, .pattern = SMOLLM},
    {.names = {"gpt-2"}, .pattern = GPT2},
    {.names = {"llama-bpe", "llama3", "llama-v3"},
     .whole_pieces = true,
     .adds_bos = true,
     .pattern = CL100K("\\p{N}{1,3}")},
    {.names = {"qwen2", "deepseek-r1-qwen"}, .nfc = true, .pattern = CL100K("\\p{N}")},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static tr_status unknown_family(const char *name, tr_error *err)
{
    if (name) tr_fail(err, TR_ERR_UNSUPPORTED, "the pre-tokenizer '%s' is not supported", name);
    else tr_fail(err, TR_ERR_UNSUPPORTED, "the file does not name its pre-tokenizer (tokenizer.ggml.pre)");
    char known[256] = "";
    for (int f = 0; f < N_FAMILIES; f++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", f ? ", " : "", families[f].names[0]);
    tr_hint(err, "supported are %s", known);
    return TR_ERR_UNSUPPORTED;
}

tr_status tr_pretokenizer_family_find(const char *name, const tr_pretokenizer_family **out, tr_error *err)
{
    for (int f = 0; name && f < N_FAMILIES; f++)
        for (int i = 0; families[f].names[i]; i++)
            if (!strcmp(families[f].names[i], name)) {
                *out = &families[f];
                return TR_OK;
            }
    return unknown_family(name, err);
}

struct tr_pretokenizer {
    pcre2_code *code;
    pcre2_match_context *context;
};

tr_status tr_pretokenizer_create(const tr_pretokenizer_family *family, tr_pretokenizer **out, tr_error *err)
{
    tr_pretokenizer *pretokenizer;
    int code;
    PCRE2_SIZE offset;
    TR_TRY(tr_alloc(&pretokenizer, 1, sizeof *pretokenizer, "pre-tokenizer", err));
    pretokenizer->code = pcre2_compile((PCRE2_SPTR)family->pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                       &code, &offset, NULL);
    if (!pretokenizer->code) {
        tr_pretokenizer_free(pretokenizer);
        char message[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        return tr_fail(err, TR_ERR_UNSUPPORTED, "this PCRE2 cannot compile the pre-tokenizer '%s': %s",
                       family->names[0], message);
    }
    pcre2_jit_compile(pretokenizer->code, PCRE2_JIT_COMPLETE); /* where there is no JIT, matching is only slower */
    pretokenizer->context = pcre2_match_context_create(NULL);
    if (!pretokenizer->context) {
        tr_pretokenizer_free(pretokenizer);
        return tr_fail(err, TR_ERR_MEMORY, "out of memory for the pre-tokenizer");
    }
    /* The default limit of ten million steps is there for expressions that explode; these are linear, and a
     * long text may take that many. */
    pcre2_set_match_limit(pretokenizer->context, UINT32_MAX);
    *out = pretokenizer;
    return TR_OK;
}

void tr_pretokenizer_free(tr_pretokenizer *pretokenizer)
{
    if (!pretokenizer) return;
    pcre2_match_context_free(pretokenizer->context);
    pcre2_code_free(pretokenizer->code);
    free(pretokenizer);
}

static tr_status match_failed(int code, tr_error *err)
{
    char message[128];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
    return tr_fail(err, code == PCRE2_ERROR_NOMEMORY ? TR_ERR_MEMORY : TR_ERR_UNSUPPORTED, "pre-tokenizer: %s",
                   message);
}

tr_status tr_pretokenize(const tr_pretokenizer *pretokenizer, const char *text, size_t size,
                         tr_piece_function each, void *context, tr_error *err)
{
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match) return tr_fail(err, TR_ERR_MEMORY, "out of memory for the pre-tokenizer");
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(match);
    tr_status status = TR_OK;
    size_t at = 0;
    while (status == TR_OK && at < size) {
        int n = pcre2_match(pretokenizer->code, (PCRE2_SPTR)text, size, at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
                            match, pretokenizer->context);
        if (n < 0 && n != PCRE2_ERROR_NOMATCH) {
            status = match_failed(n, err);
            break;
        }
        size_t start = n < 0 ? size : bounds[0], end = n < 0 ? size : bounds[1];
        if (start > at) status = each(context, text + at, start - at, err);
        if (status == TR_OK && end > start) status = each(context, text + start, end - start, err);
        at = end;
    }
    pcre2_match_data_free(match);
    return status;
}
