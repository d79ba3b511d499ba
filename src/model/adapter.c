/* This file reads and writes adapter folders: the tensors and their order of rows. The configuration beside them is
 * adapter_config.c's job. */
#include "model/adapter.h"
#include "base/memory.h"
#include "format/safetensors.h"
#include "model/adapter_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 160 };

/* "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" */
static const char *tensor_name(char *buffer, int layer, tr_module module, char half)
{
    snprintf(buffer, NAME_SIZE, "base_model.model.model.layers.%d.%s.%s.lora_%c.weight", layer,
             tr_module_parent(module), tr_module_name(module), half);
    return buffer;
}

/* ---- order of rows ---- */

/* The row of the model's file that holds row `hf` of Hugging Face's matrix. GGUF's llama files interleave the two
 * halves of each head of q and k, because their rope turns neighbours: file row h*d + 2j + s is row
 * h*d + s*(d/2) + j. */
static int file_row(const tr_model_config *config, tr_module module, int hf)
{
    if (!config->rope_interleaved || (module != TR_Q && module != TR_K)) return hf;
    int d = config->head_dim, half = d / 2, in_head = hf % d;
    return hf - in_head + 2 * (in_head % half) + in_head / half;
}

/* Copies B between Hugging Face's order (`hf`) and the file's (`file`), both (n_out, rank). */
static void copy_b(const tr_model *model, tr_module module, const tr_lora_pair *pair, int rank, float *hf,
                   float *file, bool to_file)
{
    for (int row = 0; row < pair->n_out; row++) {
        float *there = file + (size_t)file_row(&model->config, module, row) * (size_t)rank;
        float *here = hf + (size_t)row * (size_t)rank;
        memcpy(to_file ? there : here, to_file ? here : there, (size_t)rank * sizeof *hf);
    }
}

static size_t largest_b(const tr_lora *lora)
{
    size_t most = 0;
    for (int i = 0; i < lora->n_layers * TR_N_MODULES; i++)
        if (lora->pair[i].present && (size_t)lora->pair[i].n_out > most) most = (size_t)lora->pair[i].n_out;
    return most * (size_t)lora->config.rank;
}

/* ---- reading ---- */

/* The 2 n_layers * n_targets names that must be there, and no others. */
static tr_status check_names(const tr_safetensors *file, const tr_lora *lora, tr_error *err)
{
    char name[NAME_SIZE], first[NAME_SIZE] = "";
    size_t expected = 0, missing = 0;
    for (int i = 0; i < 2 * lora->n_layers * TR_N_MODULES; i++) {
        int layer = i / (2 * TR_N_MODULES);
        tr_module module = (tr_module)(i / 2 % TR_N_MODULES);
        if (!tr_lora_at(lora, layer, module)->present) continue;
        expected++;
        if (tr_safetensors_find(file, tensor_name(name, layer, module, i % 2 ? 'B' : 'A'))) continue;
        if (missing++ == 0) memcpy(first, name, sizeof first);
    }
    if (missing == 0) return TR_OK;
    tr_fail(err, TR_ERR_MISMATCH, "%zu of the %zu tensors that its configuration promises are missing, first %s",
            missing, expected, first);
    return tr_hint(err, "the adapter is for another base model, or its two files do not belong together");
}

static bool is_expected(const tr_lora *lora, const char *tensor)
{
    char name[NAME_SIZE];
    for (int i = 0; i < lora->n_layers * TR_N_MODULES; i++) {
        if (!lora->pair[i].present) continue;
        for (int half = 'A'; half <= 'B'; half++)
            if (strcmp(tensor, tensor_name(name, i / TR_N_MODULES, (tr_module)(i % TR_N_MODULES), (char)half)) == 0)
                return true;
    }
    return false;
}

static tr_status check_no_extras(const tr_safetensors *file, const tr_lora *lora, tr_error *err)
{
    const char *first = NULL;
    size_t extra = 0;
    for (size_t i = 0; i < file->n_tensors; i++) {
        if (is_expected(lora, file->tensors[i].name)) continue;
        if (extra++ == 0) first = file->tensors[i].name;
    }
    if (extra == 0) return TR_OK;
    tr_fail(err, TR_ERR_MISMATCH, "%zu of its %zu tensors have no place in this model, first %.200s", extra,
            file->n_tensors, first);
    return tr_hint(err, "the adapter is for another base model, or adapts more modules than its configuration says");
}

static tr_status read_tensor(const tr_safetensors *file, const char *name, int rows, int columns, float *out,
                             tr_error *err)
{
    const tr_safetensor *t = tr_safetensors_find(file, name);
    if (t->n_dims != 2 || t->dim[0] != (uint64_t)rows || t->dim[1] != (uint64_t)columns) {
        char shape[64] = "";
        for (int d = 0, used = 0; d < t->n_dims && used < 40; d++)
            used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%llu", d ? ", " : "",
                             (unsigned long long)t->dim[d]);
        tr_fail(err, TR_ERR_MISMATCH, "%s has the shape (%s), this model needs (%d, %d)", name, shape, rows, columns);
        return tr_hint(err, "the adapter was trained on another base model");
    }
    TR_TRY(tr_safetensor_floats(t, out, err));
    for (size_t i = 0; i < (size_t)rows * (size_t)columns; i++)
        if (!isfinite(out[i]))
            return tr_fail(err, TR_ERR_VALUE, "%s holds %s at element %zu", name,
                           isnan(out[i]) ? "NaN" : "infinity", i);
    return TR_OK;
}

static tr_status read_tensors(const tr_safetensors *file, const tr_model *model, tr_lora *lora, tr_error *err)
{
    const int rank = lora->config.rank;
    tr_status status = TR_OK;
    char name[NAME_SIZE];
    float *b = NULL;
    TR_TRY(tr_alloc(&b, largest_b(lora), sizeof *b, "reading an adapter", err));
    for (int i = 0; i < lora->n_layers * TR_N_MODULES; i++) {
        const tr_lora_pair *pair = &lora->pair[i];
        const int layer = i / TR_N_MODULES;
        const tr_module module = (tr_module)(i % TR_N_MODULES);
        if (!pair->present) continue;
        tensor_name(name, layer, module, 'A');
        TR_TRY_CLEANUP(read_tensor(file, name, rank, pair->n_in, lora->params + pair->a, err));
        tensor_name(name, layer, module, 'B');
        TR_TRY_CLEANUP(read_tensor(file, name, pair->n_out, rank, b, err));
        copy_b(model, module, pair, rank, b, lora->params + pair->b, true);
    }
cleanup:
    free(b);
    return status;
}

static tr_status check_folder(const char *folder, const char *config, const char *tensors, tr_error *err)
{
    if (!tr_folder_exists(folder)) return tr_fail(err, TR_ERR_IO, "there is no folder %s", folder);
    if (!tr_file_exists(config)) {
        tr_fail(err, TR_ERR_FORMAT, "%s is not an adapter: it has no adapter_config.json", folder);
        return tr_hint(err, "name the folder that holds adapter_config.json and adapter_model.safetensors");
    }
    if (!tr_file_exists(tensors)) {
        tr_fail(err, TR_ERR_FORMAT, "the adapter %s has no adapter_model.safetensors", folder);
        return tr_hint(err, "an adapter_model.bin must be converted first: load it with PEFT and save it again");
    }
    return TR_OK;
}

static tr_status load(const char *config_path, const char *tensors_path, const tr_model *model, tr_lora **out,
                      tr_error *err)
{
    tr_status status = TR_OK;
    tr_lora_config config;
    tr_safetensors file = {0};
    TR_TRY_CLEANUP(tr_adapter_config_load(config_path, model, &config, err));
    TR_TRY_CLEANUP(tr_safetensors_open(tensors_path, &file, err));
    TR_TRY_CLEANUP(tr_lora_create(model, &config, 0, out, err));
    TR_TRY_CLEANUP(check_names(&file, *out, err));
    TR_TRY_CLEANUP(check_no_extras(&file, *out, err));
    TR_TRY_CLEANUP(read_tensors(&file, model, *out, err));
cleanup:
    if (status != TR_OK) tr_at(err, "%s", file.path ? tensors_path : config_path);
    tr_safetensors_close(&file);
    return status;
}

tr_status tr_adapter_load(const char *folder, const tr_model *model, tr_lora **out, tr_error *err)
{
    char *config = tr_path_join(folder, "adapter_config.json");
    char *tensors = tr_path_join(folder, "adapter_model.safetensors");
    tr_status status = TR_OK;
    *out = NULL;
    if (!config || !tensors) TR_TRY_CLEANUP(tr_fail(err, TR_ERR_MEMORY, "out of memory for a path"));
    TR_TRY_CLEANUP(check_folder(folder, config, tensors, err));
    TR_TRY_CLEANUP(load(config, tensors, model, out, err));
cleanup:
    if (status != TR_OK) {
        tr_lora_free(*out);
        *out = NULL;
    }
    free(config);
    free(tensors);
    return status;
}

/* ---- writing ---- */

typedef struct {
    tr_safetensor_source *source;
    char (*name)[NAME_SIZE];
    float *b; /* all B matrices, in Hugging Face's order */
    size_t n;
} export;

static void export_add(export *e, const char *name, int rows, int columns, const float *data)
{
    snprintf(e->name[e->n], NAME_SIZE, "%s", name);
    e->source[e->n] = (tr_safetensor_source){.name = e->name[e->n], .n_dims = 2, .data = data,
                                             .dim = {(uint64_t)rows, (uint64_t)columns}};
    e->n++;
}

static void export_all(export *e, const tr_model *model, const tr_lora *lora)
{
    const int rank = lora->config.rank;
    char name[NAME_SIZE];
    float *b = e->b;
    for (int i = 0; i < lora->n_layers * TR_N_MODULES; i++) {
        const tr_lora_pair *pair = &lora->pair[i];
        const int layer = i / TR_N_MODULES;
        const tr_module module = (tr_module)(i % TR_N_MODULES);
        if (!pair->present) continue;
        export_add(e, tensor_name(name, layer, module, 'A'), rank, pair->n_in, lora->params + pair->a);
        copy_b(model, module, pair, rank, b, lora->params + pair->b, false);
        export_add(e, tensor_name(name, layer, module, 'B'), pair->n_out, rank, b);
        b += (size_t)pair->n_out * (size_t)rank;
    }
}

static tr_status save_tensors(const char *path, const tr_model *model, const tr_lora *lora, tr_error *err)
{
    const size_t most = 2 * (size_t)lora->n_layers * TR_N_MODULES;
    tr_status status = TR_OK;
    export e = {0};
    TR_TRY_CLEANUP(tr_alloc(&e.source, most, sizeof *e.source, "writing an adapter", err));
    TR_TRY_CLEANUP(tr_alloc(&e.name, most, sizeof *e.name, "writing an adapter", err));
    TR_TRY_CLEANUP(tr_alloc(&e.b, lora->n_params, sizeof *e.b, "writing an adapter", err));
    export_all(&e, model, lora);
    TR_TRY_CLEANUP(tr_safetensors_write(path, e.source, e.n, err));
cleanup:
    free(e.source);
    free(e.name);
    free(e.b);
    return status;
}

tr_status tr_adapter_save(const char *folder, const tr_model *model, const tr_lora *lora, const char *base_name,
                          tr_error *err)
{
    char *config = tr_path_join(folder, "adapter_config.json");
    char *tensors = tr_path_join(folder, "adapter_model.safetensors");
    tr_status status = TR_OK;
    if (!config || !tensors) TR_TRY_CLEANUP(tr_fail(err, TR_ERR_MEMORY, "out of memory for a path"));
    TR_TRY_CLEANUP(tr_folder_create(folder, err));
    TR_TRY_CLEANUP(save_tensors(tensors, model, lora, err));
    TR_TRY_CLEANUP(tr_adapter_config_save(config, &lora->config, base_name, err));
cleanup:
    free(config);
    free(tensors);
    return status;
}

/* ---- norms ---- */

static double sum_of_squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum;
}

void tr_adapter_norms(const tr_lora *lora, double *norm_a, double *norm_b)
{
    const size_t rank = (size_t)lora->config.rank;
    double a = 0, b = 0;
    for (int i = 0; i < lora->n_layers * TR_N_MODULES; i++) {
        const tr_lora_pair *pair = &lora->pair[i];
        if (!pair->present) continue;
        a += sum_of_squares(lora->params + pair->a, rank * (size_t)pair->n_in);
        b += sum_of_squares(lora->params + pair->b, rank * (size_t)pair->n_out);
    }
    *norm_a = sqrt(a);
    *norm_b = sqrt(b);
}
