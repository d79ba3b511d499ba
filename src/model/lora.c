/* This file implements the layout and the birth of an adapter. */
#include "model/lora.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tr_status parse_one(const char *name, size_t size, uint32_t *out, tr_error *err)
{
    if (size == 10 && memcmp(name, "all-linear", size) == 0) {
        *out |= (1u << TR_N_MODULES) - 1;
        return TR_OK;
    }
    for (int m = 0; m < TR_N_MODULES; m++) {
        const char *full = tr_module_name((tr_module)m);
        size_t short_size = strlen(full) - strlen("_proj"); /* "q" is as good as "q_proj" */
        if ((size == strlen(full) || size == short_size) && memcmp(name, full, size) == 0) {
            *out |= 1u << m;
            return TR_OK;
        }
    }
    tr_fail(err, TR_ERR_USAGE, "'%.*s' is not a module that LoRA can adapt", (int)size, name);
    return tr_hint(err, "choose from q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj or all-linear");
}

tr_status tr_lora_parse_targets(const char *text, uint32_t *out, tr_error *err)
{
    *out = 0;
    while (true) {
        size_t size = strcspn(text, ", ");
        if (size) TR_TRY(parse_one(text, size, out, err));
        text += size;
        if (!*text) break;
        text++;
    }
    if (*out) return TR_OK;
    tr_fail(err, TR_ERR_USAGE, "no LoRA targets given");
    return tr_hint(err, "for example --targets q_proj,v_proj");
}

const char *tr_lora_format_targets(uint32_t targets, char *buffer, size_t size)
{
    size_t used = 0;
    buffer[0] = '\0';
    for (int m = 0; m < TR_N_MODULES; m++)
        if (targets >> m & 1 && used < size)
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? "," : "", tr_module_name((tr_module)m));
    return buffer;
}

static tr_status check_config(const tr_lora_config *c, tr_error *err)
{
    if (c->rank < 1 || c->rank > 1024) return tr_fail(err, TR_ERR_USAGE, "LoRA rank %d is not in 1..1024", c->rank);
    if (!(c->alpha > 0) || !isfinite(c->alpha))
        return tr_fail(err, TR_ERR_USAGE, "LoRA alpha %g is not a positive number", (double)c->alpha);
    if (!(c->dropout >= 0) || !(c->dropout < 1))
        return tr_fail(err, TR_ERR_USAGE, "LoRA dropout %g is not in [0, 1)", (double)c->dropout);
    if (!(c->targets & ((1u << TR_N_MODULES) - 1))) return tr_fail(err, TR_ERR_USAGE, "no LoRA targets given");
    return TR_OK;
}

static void lay_out(tr_lora *lora, const tr_model *model)
{
    size_t at = 0;
    for (int l = 0; l < lora->n_layers; l++)
        for (int m = 0; m < TR_N_MODULES; m++) {
            tr_lora_pair *pair = &lora->pair[l * TR_N_MODULES + m];
            const tr_matrix *w = &model->layer[l].linear[m];
            pair->present = lora->config.targets >> m & 1;
            pair->n_in = w->n_in;
            pair->n_out = w->n_out;
            if (!pair->present) continue;
            pair->a = at;
            at += (size_t)lora->config.rank * (size_t)w->n_in;
            pair->b = at;
            at += (size_t)lora->config.rank * (size_t)w->n_out;
        }
    lora->n_params = at;
}

static void initialise(tr_lora *lora, uint64_t seed)
{
    for (int i = 0; i < lora->n_layers * TR_N_MODULES; i++) {
        const tr_lora_pair *pair = &lora->pair[i];
        if (!pair->present) continue;
        const float bound = 1.f / sqrtf((float)pair->n_in);
        const size_t n = (size_t)lora->config.rank * (size_t)pair->n_in;
        for (size_t j = 0; j < n; j++)
            lora->params[pair->a + j] = (2 * tr_rng_uniform(seed, TR_RNG_INIT, (uint32_t)i, j) - 1) * bound;
    }
}

tr_status tr_lora_create(const tr_model *model, const tr_lora_config *config, uint64_t seed, tr_lora **out,
                         tr_error *err)
{
    tr_lora *lora = NULL;
    tr_status status;
    *out = NULL;
    TR_TRY(check_config(config, err));
    TR_TRY(tr_alloc(&lora, 1, sizeof *lora, "an adapter", err));
    lora->config = *config;
    lora->n_layers = model->config.n_layers;
    lora->scale = config->rslora ? config->alpha / sqrtf((float)config->rank) : config->alpha / (float)config->rank;
    TR_TRY_CLEANUP(tr_alloc(&lora->pair, (size_t)lora->n_layers * TR_N_MODULES, sizeof *lora->pair, "an adapter", err));
    lay_out(lora, model);
    TR_TRY_CLEANUP(tr_alloc(&lora->params, lora->n_params, sizeof(float), "adapter parameters", err));
    initialise(lora, seed);
    *out = lora;
    return TR_OK;
cleanup:
    tr_lora_free(lora);
    return status;
}

void tr_lora_free(tr_lora *lora)
{
    if (!lora) return;
    free(lora->pair);
    free(lora->params);
    free(lora);
}

int tr_lora_lowest_layer(const tr_lora *lora)
{
    return lora->n_params ? 0 : lora->n_layers; /* targets are the same in every layer */
}
