/* A language model: frozen weights, mapped from their file and never copied, and the tokenizer that goes with them. */
#ifndef TR_MODEL_MODEL_H
#define TR_MODEL_MODEL_H

#include "base/sha256.h"
#include "kernel/linear.h"
#include "model/config.h"
#include "text/tokenizer.h"

/* The seven linear layers of a block, in the order of PEFT's names q_proj k_proj v_proj o_proj gate_proj up_proj
 * down_proj. */
typedef enum { TR_Q, TR_K, TR_V, TR_O, TR_GATE, TR_UP, TR_DOWN, TR_N_MODULES } tr_module;

/* "q_proj" and the block's sub-module in PEFT's tensor names ("self_attn", "mlp"). */
const char *tr_module_name(tr_module module);
const char *tr_module_parent(tr_module module);

typedef struct {
    tr_matrix linear[TR_N_MODULES];
    const float *attention_norm, *ffn_norm; /* (n_embd) */
} tr_layer;

typedef struct {
    tr_model_config config;
    char *path;
    tr_gguf file;
    tr_tokenizer *tokenizer;
    tr_matrix embedding, output; /* (n_vocab, n_embd); the same matrix when tied */
    bool tied;
    const float *output_norm;    /* (n_embd) */
    tr_layer *layer;             /* (n_layers) */
    float *rope_factor;          /* (head_dim / 2) divisors of the angles */
    float *norms;                /* the floats that the norm pointers point into */
} tr_model;

/* Opens a GGUF file. TR_ERR_FORMAT / TR_ERR_UNSUPPORTED name the tensor or key; on failure *out is NULL. */
tr_status tr_model_open(const char *path, tr_model **out, tr_error *err);
void tr_model_close(tr_model *model);

/* Number of weights, and their bytes in the file. */
void tr_model_size(const tr_model *model, uint64_t *n_weights, uint64_t *bytes);

/* SHA-256 of the model file: about half a second for 100 MB. */
void tr_model_hash(const tr_model *model, char hex[TR_SHA256_HEX]);

#endif
