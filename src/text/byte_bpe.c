/* This file is the tokenizer kind "gpt2": byte-level BPE. Text is normalised if the family does so, cut into
 * pieces (pretokenize.h), and each piece's bytes are merged (bpe.h). */
#include "text/bpe.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/tokenizer_kind.h"

#include "base/memory.h"

#include <stdlib.h>

typedef struct {
    const tr_pretokenizer_family *family;
    tr_pretokenizer *pretokenizer;
    tr_bpe bpe;
} byte_bpe;

/* The byte that a character of GPT-2's printable alphabet stands for, or -1. Bytes that are printable in Latin-1
 * are themselves; the other 68, in order, are U+0100 to U+0143. */
static int byte_of(uint32_t code)
{
    bool printable =
        (code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xAC) || (code >= 0xAE && code <= 0xFF);
    if (printable) return (int)code;
    if (code < 0x100 || code > 0x143) return -1;
    uint32_t n = code - 0x100;
    if (n <= 0x20) return (int)n;
    if (n <= 0x20 + 34) return (int)(0x7F + n - 0x21);
    return 0xAD;
}

static bool unpack(const char *text, size_t size, uint8_t *out, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < size; i++) {
        uint32_t code = (uint8_t)text[i];
        if (code >= 0x80) { /* the alphabet has characters of one and two bytes only: 110xxxxx 10xxxxxx */
            if ((code & 0xE0) != 0xC0 || i + 1 == size || ((uint8_t)text[i + 1] & 0xC0) != 0x80) return false;
            code = (code & 0x1F) << 6 | ((uint8_t)text[++i] & 0x3F);
            if (code < 0x80) return false;
        }
        int byte = byte_of(code);
        if (byte < 0) return false;
        out[(*n)++] = (uint8_t)byte;
    }
    return true;
}

static void byte_bpe_free(void *state)
{
    byte_bpe *self = state;
    if (!self) return;
    tr_pretokenizer_free(self->pretokenizer);
    tr_bpe_destroy(&self->bpe);
    free(self);
}

static tr_status byte_bpe_create(const tr_tokenizer_spec *spec, const tr_vocabulary *vocabulary, void **state,
                                 bool *adds_bos, tr_error *err)
{
    byte_bpe *self = NULL;
    const tr_pretokenizer_family *family;
    tr_status status;
    TR_TRY(tr_pretokenizer_family_find(spec->pre, &family, err));
    TR_TRY(tr_alloc(&self, 1, sizeof *self, "tokenizer", err));
    self->family = family;
    TR_TRY_CLEANUP(tr_pretokenizer_create(family, &self->pretokenizer, err));
    TR_TRY_CLEANUP(tr_bpe_create(&self->bpe, vocabulary, spec->merges, spec->n_merges, unpack, err));
    *adds_bos = family->adds_bos;
    *state = self;
    return TR_OK;
cleanup:
    byte_bpe_free(self);
    return status;
}

typedef struct {
    const byte_bpe *self;
    const tr_vocabulary *vocabulary;
    tr_bpe_work work;
    tr_tokens *out;
} encoding;

static tr_status encode_piece(void *context, const char *piece, size_t size, tr_error *err)
{
    encoding *e = context;
    if (e->self->family->whole_pieces) {
        int32_t id = tr_vocabulary_find(e->vocabulary, (const uint8_t *)piece, size);
        if (id >= 0 && e->vocabulary->type[id] == TR_TOKEN_NORMAL) return tr_tokens_add(e->out, id, err);
    }
    return tr_bpe_encode(&e->self->bpe, &e->work, (const uint8_t *)piece, size, e->out, err);
}

static tr_status byte_bpe_encode(const void *state, const tr_vocabulary *vocabulary, const char *text, size_t size,
                                 tr_tokens *out, tr_error *err)
{
    const byte_bpe *self = state;
    encoding e = {.self = self, .vocabulary = vocabulary, .out = out};
    tr_str normalized = {0};
    tr_status status;
    if (self->family->nfc) {
        TR_TRY_CLEANUP(tr_normalize_nfc(text, size, &normalized, err));
        text = normalized.data, size = normalized.size;
    }
    status = tr_pretokenize(self->pretokenizer, text, size, encode_piece, &e, err);
cleanup:
    tr_bpe_work_free(&e.work);
    tr_str_free(&normalized);
    return status;
}

const tr_tokenizer_kind tr_tokenizer_byte_bpe = {
    .model = "gpt2",
    .unpack = unpack,
    .create = byte_bpe_create,
    .free = byte_bpe_free,
    .encode = byte_bpe_encode,
};
