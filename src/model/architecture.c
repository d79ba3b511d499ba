/* This file holds the table of architectures and reads their metadata. */
#include "base/str.h"
#include "model/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    tr_status (*configure)(const tr_gguf *file, tr_model_config *config, tr_error *err);
} architecture;

/* ---- reading sizes ---- */

static const char *key_of(const tr_model_config *config, const char *suffix, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s.%s", config->architecture, suffix);
    return buffer;
}

/* A positive size below the limit. */
static tr_status need_size(const tr_gguf *file, const tr_model_config *config, const char *suffix, uint32_t limit,
                           int *out, tr_error *err)
{
    char key[96];
    uint32_t value;
    TR_TRY(tr_gguf_need_u32(file, key_of(config, suffix, key, sizeof key), &value, err));
    if (value == 0 || value > limit)
        return tr_fail(err, TR_ERR_FORMAT, "%s is %u; expected 1 to %u", key, (unsigned)value, (unsigned)limit);
    *out = (int)value;
    return TR_OK;
}

static tr_status get_size(const tr_gguf *file, const tr_model_config *config, const char *suffix, uint32_t limit,
                          int fallback, int *out, tr_error *err)
{
    char key[96];
    if (!tr_gguf_find(file, key_of(config, suffix, key, sizeof key))) {
        *out = fallback;
        return TR_OK;
    }
    return need_size(file, config, suffix, limit, out, err);
}

static tr_status get_float(const tr_gguf *file, const tr_model_config *config, const char *suffix, float fallback,
                           float *out, tr_error *err)
{
    char key[96];
    return tr_gguf_get_f32(file, key_of(config, suffix, key, sizeof key), fallback, out, err);
}

static tr_status read_rope_scaling(const tr_gguf *file, tr_model_config *config, tr_error *err)
{
    char key[96], *type = NULL;
    float factor;
    TR_TRY(get_float(file, config, "rope.scale_linear", 1, &factor, err)); /* files before 2023-10 */
    TR_TRY(tr_gguf_get_string(file, key_of(config, "rope.scaling.type", key, sizeof key), &type, err));
    if (type && strcmp(type, "none") != 0) {
        if (strcmp(type, "linear") != 0) {
            tr_fail(err, TR_ERR_UNSUPPORTED, "rope scaling '%s' is not supported", type);
            free(type);
            return tr_hint(err, "supported: none, linear, and llama3 (a rope_freqs tensor)");
        }
        free(type);
        TR_TRY(get_float(file, config, "rope.scaling.factor", factor, &factor, err));
    } else {
        free(type);
    }
    if (!(factor > 0) || factor > 1e6f) return tr_fail(err, TR_ERR_FORMAT, "rope scaling factor %g", (double)factor);
    config->rope_linear_factor = factor;
    return TR_OK;
}

/* ---- one function an architecture ---- */

static tr_status configure_llama(const tr_gguf *file, tr_model_config *config, tr_error *err)
{
    char key[96];
    int experts, rope_dims, value_length;
    TR_TRY(need_size(file, config, "block_count", 1024, &config->n_layers, err));
    TR_TRY(need_size(file, config, "embedding_length", 1 << 17, &config->n_embd, err));
    TR_TRY(need_size(file, config, "feed_forward_length", 1 << 19, &config->n_ff, err));
    TR_TRY(need_size(file, config, "attention.head_count", 4096, &config->n_heads, err));
    TR_TRY(get_size(file, config, "attention.head_count_kv", 4096, config->n_heads, &config->n_kv_heads, err));
    TR_TRY(need_size(file, config, "context_length", 1 << 24, &config->n_context, err));
    TR_TRY(get_size(file, config, "attention.key_length", 1024, config->n_embd / config->n_heads, &config->head_dim,
                    err));
    TR_TRY(get_size(file, config, "attention.value_length", 1024, config->head_dim, &value_length, err));
    TR_TRY(get_size(file, config, "rope.dimension_count", 1024, config->head_dim, &rope_dims, err));
    TR_TRY(get_size(file, config, "expert_count", 4096, 0, &experts, err));
    TR_TRY(tr_gguf_need_f32(file, key_of(config, "attention.layer_norm_rms_epsilon", key, sizeof key),
                            &config->norm_eps, err));
    TR_TRY(get_float(file, config, "rope.freq_base", 10000, &config->rope_base, err));
    TR_TRY(read_rope_scaling(file, config, err));
    config->rope_interleaved = true;

    if (experts) return tr_fail(err, TR_ERR_UNSUPPORTED, "mixture-of-experts models are not supported");
    if (config->n_heads % config->n_kv_heads)
        return tr_fail(err, TR_ERR_FORMAT, "%d heads do not share %d key heads evenly", config->n_heads,
                       config->n_kv_heads);
    if (config->head_dim % 2 || rope_dims != config->head_dim || value_length != config->head_dim)
        return tr_fail(err, TR_ERR_UNSUPPORTED, "head size %d with %d rotated dimensions and value size %d",
                       config->head_dim, rope_dims, value_length);
    if (!(config->norm_eps >= 0) || !(config->rope_base > 0) || !(config->rope_base < 1e12f))
        return tr_fail(err, TR_ERR_FORMAT, "norm epsilon %g or rope base %g is senseless", (double)config->norm_eps,
                       (double)config->rope_base);
    return TR_OK;
}

static const architecture architectures[] = {
    {"llama", configure_llama},
};

tr_status tr_model_configure(const tr_gguf *file, tr_model_config *out, tr_error *err)
{
    const size_t n = sizeof architectures / sizeof architectures[0];
    char *type = NULL, *name = NULL;
    *out = (tr_model_config){0};
    TR_TRY(tr_gguf_get_string(file, "general.type", &type, err));
    bool adapter = type && strcmp(type, "adapter") == 0;
    free(type);
    if (adapter) {
        tr_fail(err, TR_ERR_UNSUPPORTED, "this file is an adapter, not a model");
        return tr_hint(err, "give the base model to --model and the adapter to --adapter");
    }
    TR_TRY(tr_gguf_get_string(file, "general.architecture", &name, err));
    if (!name) return tr_fail(err, TR_ERR_FORMAT, "general.architecture is missing: not a model file");
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, architectures[i].name) == 0) {
            snprintf(out->architecture, sizeof out->architecture, "%s", name);
            free(name);
            return architectures[i].configure(file, out, err);
        }
    tr_fail(err, TR_ERR_UNSUPPORTED, "architecture '%.40s' is not supported", name);
    free(name);
    tr_str list = {0};
    for (size_t i = 0; i < n; i++) tr_str_addf(&list, "%s%s", i ? ", " : "", architectures[i].name);
    tr_hint(err, "supported: %s", list.data ? list.data : "");
    tr_str_free(&list);
    return err ? err->status : TR_ERR_UNSUPPORTED;
}
