/* This file is the tokenize job: text to ids and back, by the tokenizer of a model file. */
#include "base/memory.h"
#include "format/gguf.h"
#include "text/tokenizer.h"

#include <stdlib.h>

/* Only the file's metadata are read, none of its weights. */
static tr_status open_tokenizer(const char *model, tr_gguf *file, tr_tokenizer **out, tr_error *err)
{
    *out = NULL;
    if (!model) return tr_fail(err, TR_ERR_USAGE, "no model file was given");
    TR_TRY(tr_gguf_open(model, file, err));
    tr_status status = tr_tokenizer_from_gguf(file, out, err);
    if (status != TR_OK) tr_at(err, "%s", model);
    if (status != TR_OK) tr_gguf_close(file);
    return status;
}

static tr_status cut_pieces(const tr_tokenizer *tokenizer, tr_tokenization *out, tr_error *err)
{
    TR_TRY(tr_alloc(&out->piece, out->n, sizeof *out->piece, "pieces of text", err));
    for (size_t i = 0; i < out->n; i++) {
        size_t size;
        TR_TRY(tr_decode(tokenizer, &out->id[i], 1, false, true, &out->piece[i], &size, err));
    }
    return TR_OK;
}

tr_status tr_tokenize_run(const char *model, const char *text, size_t size, bool special, bool bos,
                          tr_tokenization *out, tr_error *err)
{
    tr_gguf file;
    tr_tokenizer *tokenizer;
    tr_tokens tokens = {0};
    *out = (tr_tokenization){0};
    TR_TRY(open_tokenizer(model, &file, &tokenizer, err));
    int flags = (special ? TR_ENCODE_SPECIAL : 0) | (bos ? TR_ENCODE_BOS : 0);
    tr_status status = tr_encode(tokenizer, text, size, flags, &tokens, err);
    out->id = tokens.id;
    out->n = tokens.n;
    if (status == TR_OK) status = cut_pieces(tokenizer, out, err);
    if (status != TR_OK) tr_tokenization_free(out);
    tr_tokenizer_free(tokenizer);
    tr_gguf_close(&file);
    return status;
}

void tr_tokenization_free(tr_tokenization *tokenization)
{
    for (size_t i = 0; tokenization->piece && i < tokenization->n; i++) free(tokenization->piece[i]);
    free(tokenization->piece);
    free(tokenization->id);
    *tokenization = (tr_tokenization){0};
}

tr_status tr_detokenize_run(const char *model, const int32_t *ids, size_t n, char **text, size_t *size, tr_error *err)
{
    tr_gguf file;
    tr_tokenizer *tokenizer;
    *text = NULL;
    TR_TRY(open_tokenizer(model, &file, &tokenizer, err));
    tr_status status = tr_decode(tokenizer, ids, n, false, false, text, size, err);
    tr_tokenizer_free(tokenizer);
    tr_gguf_close(&file);
    return status;
}
