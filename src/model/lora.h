/* LoRA adapters (Hu et al. 2021): for a chosen module with frozen W, y = W x + s B A dropout(x), where A is
 * (rank, n_in), B is (n_out, rank) and s = alpha / rank, or alpha / sqrt(rank) for rsLoRA (Kalajdzievski 2023).
 * All parameters of an adapter lie in one vector, so that gradients, moments and norms are plain arrays. */
#ifndef TR_MODEL_LORA_H
#define TR_MODEL_LORA_H

#include "model/model.h"

/* What an adapter is, apart from its numbers. */
typedef struct {
    int rank;
    float alpha, dropout;
    bool rslora;
    uint32_t targets; /* bit 1 << tr_module for each adapted module */
} tr_lora_config;

/* "q_proj,v_proj" -> bits, and "all-linear" -> all seven; TR_ERR_USAGE names an unknown module. */
tr_status tr_lora_parse_targets(const char *text, uint32_t *out, tr_error *err);
/* The inverse, comma-separated; returns `buffer`. */
const char *tr_lora_format_targets(uint32_t targets, char *buffer, size_t size);

/* One pair of matrices; offsets in floats into a parameter vector. */
typedef struct {
    bool present;
    int n_in, n_out;
    size_t a, b; /* A (rank, n_in) at params + a; B (n_out, rank) at params + b. B's rows are in the order of the
                    base weight's rows IN ITS FILE: for q and k of GGUF llama files that is not Hugging Face's
                    order; adapter.c permutes when reading and writing */
} tr_lora_pair;

typedef struct {
    tr_lora_config config;
    float scale;         /* s above */
    int n_layers;
    tr_lora_pair *pair;  /* (n_layers, TR_N_MODULES) */
    size_t n_params;
    float *params;       /* (n_params) */
} tr_lora;

/* A fresh adapter for the model: A uniform in +-1/sqrt(n_in) (PEFT's kaiming_uniform with a = sqrt 5) from
 * (seed, TR_RNG_INIT), B zero. TR_ERR_USAGE for a rank or dropout out of range or no target. */
tr_status tr_lora_create(const tr_model *model, const tr_lora_config *config, uint64_t seed, tr_lora **out,
                         tr_error *err);
void tr_lora_free(tr_lora *lora);

static inline const tr_lora_pair *tr_lora_at(const tr_lora *lora, int layer, tr_module module)
{
    return &lora->pair[layer * TR_N_MODULES + (int)module];
}

/* Lowest layer with an adapted module: backward stops there. */
int tr_lora_lowest_layer(const tr_lora *lora);

#endif
