/* This file implements opening a model: every tensor found by name and checked against the sizes that the metadata
 * promises. */
#include "model/model.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *parent, *tensor;
} modules[TR_N_MODULES] = {
    [TR_Q] = {"q_proj", "self_attn", "attn_q"},       [TR_K] = {"k_proj", "self_attn", "attn_k"},
    [TR_V] = {"v_proj", "self_attn", "attn_v"},       [TR_O] = {"o_proj", "self_attn", "attn_output"},
    [TR_GATE] = {"gate_proj", "mlp", "ffn_gate"},     [TR_UP] = {"up_proj", "mlp", "ffn_up"},
    [TR_DOWN] = {"down_proj", "mlp", "ffn_down"},
};

const char *tr_module_name(tr_module module) { return modules[module].name; }
const char *tr_module_parent(tr_module module) { return modules[module].parent; }

/* ---- tensors ---- */

static tr_status find_matrix(const tr_gguf *file, const char *name, int n_out, int n_in, tr_matrix *out, tr_error *err)
{
    const tr_gguf_tensor *t;
    TR_TRY(tr_gguf_find_tensor(file, name, &t, err));
    if (t->n_dims != 2 || t->dim[0] != (uint64_t)n_in || t->dim[1] != (uint64_t)n_out)
        return tr_fail(err, TR_ERR_FORMAT, "tensor %s is %llu x %llu; the metadata says %d x %d", name,
                       (unsigned long long)t->dim[1], (unsigned long long)t->dim[0], n_out, n_in);
    *out = (tr_matrix){.type = t->type, .data = t->data, .n_out = n_out, .n_in = n_in,
                       .row_bytes = tr_type_row_bytes(t->type, (size_t)n_in)};
    return TR_OK;
}

/* Copies a vector into floats: vectors are tiny and their bytes need not be aligned in the file. */
static tr_status read_vector(const tr_gguf *file, const char *name, int n, float *out, tr_error *err)
{
    const tr_gguf_tensor *t;
    TR_TRY(tr_gguf_find_tensor(file, name, &t, err));
    if (t->n_dims != 1 || t->dim[0] != (uint64_t)n)
        return tr_fail(err, TR_ERR_FORMAT, "tensor %s has %llu elements in %d dimensions; expected %d", name,
                       (unsigned long long)t->dim[0], t->n_dims, n);
    if (tr_type_row_bytes(t->type, (size_t)n) == 0)
        return tr_fail(err, TR_ERR_FORMAT, "tensor %s: %d elements do not fill blocks of its type", name, n);
    tr_dequantize(t->type, t->data, out, (size_t)n);
    return TR_OK;
}

/* Biases and other extras would change the result silently if they were overlooked. */
static tr_status refuse_unknown_tensors(const tr_gguf *file, tr_error *err)
{
    static const char *const known[] = {"token_embd.weight", "output_norm.weight", "output.weight",
                                        "rope_freqs.weight"};
    static const char *const in_block[] = {"attn_norm.weight",   "attn_q.weight",   "attn_k.weight",
                                           "attn_v.weight",      "ffn_gate.weight", "attn_output.weight",
                                           "ffn_norm.weight",    "ffn_up.weight",   "ffn_down.weight"};
    for (size_t i = 0; i < file->n_tensors; i++) {
        const char *name = file->tensors[i].name, *rest = name;
        bool found = false;
        int block, used = 0;
        if (sscanf(name, "blk.%d.%n", &block, &used) == 1 && used > 0) {
            rest = name + used;
            for (size_t k = 0; k < sizeof in_block / sizeof *in_block; k++) found |= strcmp(rest, in_block[k]) == 0;
        } else {
            for (size_t k = 0; k < sizeof known / sizeof *known; k++) found |= strcmp(rest, known[k]) == 0;
        }
        if (!found) {
            tr_fail(err, TR_ERR_UNSUPPORTED, "tensor %s is not part of a model this program knows", name);
            return tr_hint(err, "biases and fused tensors are not supported for this architecture");
        }
    }
    return TR_OK;
}

static tr_status open_layers(tr_model *model, tr_error *err)
{
    const tr_model_config *c = &model->config;
    const int q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    const int rows[TR_N_MODULES] = {q, kv, kv, c->n_embd, c->n_ff, c->n_ff, c->n_embd};
    const int cols[TR_N_MODULES] = {c->n_embd, c->n_embd, c->n_embd, q, c->n_embd, c->n_embd, c->n_ff};
    float *norm = model->norms;
    for (int l = 0; l < c->n_layers; l++) {
        tr_layer *layer = &model->layer[l];
        char name[64];
        for (int m = 0; m < TR_N_MODULES; m++) {
            snprintf(name, sizeof name, "blk.%d.%s.weight", l, modules[m].tensor);
            TR_TRY(find_matrix(&model->file, name, rows[m], cols[m], &layer->linear[m], err));
        }
        snprintf(name, sizeof name, "blk.%d.attn_norm.weight", l);
        TR_TRY(read_vector(&model->file, name, c->n_embd, norm, err));
        layer->attention_norm = norm;
        norm += c->n_embd;
        snprintf(name, sizeof name, "blk.%d.ffn_norm.weight", l);
        TR_TRY(read_vector(&model->file, name, c->n_embd, norm, err));
        layer->ffn_norm = norm;
        norm += c->n_embd;
    }
    model->output_norm = norm;
    return read_vector(&model->file, "output_norm.weight", c->n_embd, norm, err);
}

static tr_status read_rope_factors(tr_model *model, tr_error *err)
{
    const int half = model->config.head_dim / 2;
    for (int j = 0; j < half; j++) model->rope_factor[j] = 1;
    if (tr_gguf_has_tensor(&model->file, "rope_freqs.weight"))
        TR_TRY(read_vector(&model->file, "rope_freqs.weight", half, model->rope_factor, err));
    for (int j = 0; j < half; j++) {
        if (!(model->rope_factor[j] > 0))
            return tr_fail(err, TR_ERR_FORMAT, "rope_freqs.weight has the divisor %g", (double)model->rope_factor[j]);
        model->rope_factor[j] *= model->config.rope_linear_factor;
    }
    return TR_OK;
}

static tr_status open_weights(tr_model *model, tr_error *err)
{
    tr_model_config *c = &model->config;
    const tr_gguf_tensor *embedding;
    TR_TRY(tr_gguf_find_tensor(&model->file, "token_embd.weight", &embedding, err));
    if (embedding->n_dims != 2 || embedding->dim[1] == 0 || embedding->dim[1] > 1 << 24)
        return tr_fail(err, TR_ERR_FORMAT, "token_embd.weight does not have the shape of an embedding");
    c->n_vocab = (int)embedding->dim[1];
    if ((size_t)c->n_vocab < tr_tokenizer_vocab_size(model->tokenizer))
        return tr_fail(err, TR_ERR_FORMAT, "the tokenizer has %zu tokens but the embedding only %d rows",
                       tr_tokenizer_vocab_size(model->tokenizer), c->n_vocab);
    TR_TRY(refuse_unknown_tensors(&model->file, err));
    TR_TRY(find_matrix(&model->file, "token_embd.weight", c->n_vocab, c->n_embd, &model->embedding, err));
    model->tied = !tr_gguf_has_tensor(&model->file, "output.weight");
    model->output = model->embedding;
    if (!model->tied)
        TR_TRY(find_matrix(&model->file, "output.weight", c->n_vocab, c->n_embd, &model->output, err));
    TR_TRY(tr_alloc(&model->layer, (size_t)c->n_layers, sizeof *model->layer, "layers", err));
    TR_TRY(tr_alloc(&model->norms, (size_t)(2 * c->n_layers + 1) * (size_t)c->n_embd, sizeof(float), "norms", err));
    TR_TRY(tr_alloc(&model->rope_factor, (size_t)c->head_dim / 2, sizeof(float), "rope factors", err));
    TR_TRY(open_layers(model, err));
    return read_rope_factors(model, err);
}

tr_status tr_model_open(const char *path, tr_model **out, tr_error *err)
{
    tr_model *model = NULL;
    tr_status status;
    *out = NULL;
    TR_TRY_CLEANUP(tr_alloc(&model, 1, sizeof *model, "a model", err));
    TR_TRY_CLEANUP(tr_strdup(&model->path, path, err));
    TR_TRY_CLEANUP(tr_gguf_open(path, &model->file, err));
    TR_TRY_CLEANUP(tr_model_configure(&model->file, &model->config, err));
    TR_TRY_CLEANUP(tr_tokenizer_from_gguf(&model->file, &model->tokenizer, err));
    TR_TRY_CLEANUP(open_weights(model, err));
    *out = model;
    return TR_OK;
cleanup:
    tr_model_close(model);
    if (err) tr_at(err, "%s", path);
    return status;
}

void tr_model_close(tr_model *model)
{
    if (!model) return;
    tr_tokenizer_free(model->tokenizer);
    tr_gguf_close(&model->file);
    free(model->layer);
    free(model->norms);
    free(model->rope_factor);
    free(model->path);
    free(model);
}

void tr_model_size(const tr_model *model, uint64_t *n_weights, uint64_t *bytes)
{
    *n_weights = *bytes = 0;
    for (size_t i = 0; i < model->file.n_tensors; i++) {
        const tr_gguf_tensor *t = &model->file.tensors[i];
        uint64_t n = 1;
        for (int d = 0; d < t->n_dims; d++) n *= t->dim[d];
        *n_weights += n;
        *bytes += t->bytes;
    }
}

void tr_model_hash(const tr_model *model, char hex[TR_SHA256_HEX])
{
    tr_sha256_hex(model->file.mapping.data, model->file.mapping.size, hex);
}
