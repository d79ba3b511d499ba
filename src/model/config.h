/* What a model is made of: sizes and switches read from a file's metadata, by architecture. A new architecture is one
 * row in the table of architecture.c and one function that fills tr_model_config. */
#ifndef TR_MODEL_CONFIG_H
#define TR_MODEL_CONFIG_H

#include "base/error.h"
#include "format/gguf.h"

typedef struct {
    char architecture[32]; /* "llama" */
    int n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab, n_context;
    float norm_eps;
    float rope_base, rope_linear_factor; /* angles are divided by the factor; 1: none */
    bool rope_interleaved;               /* pairs (2j, 2j+1), as GGUF stores q and k of llama; else (j, j + d/2) */
} tr_model_config;

/* Reads the metadata of a model file. TR_ERR_UNSUPPORTED names an architecture, activation or scaling that is not
 * in the table and lists what is; TR_ERR_FORMAT for missing or senseless sizes. */
tr_status tr_model_configure(const tr_gguf *file, tr_model_config *out, tr_error *err);

#endif
