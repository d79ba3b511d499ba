/* This file opens what jobs work with: model, adapter, rows. */
#include "job/engine.h"

#include "base/file.h"
#include "base/progress.h"

tr_status tr_loaded_open(const tr_engine *engine, tr_loaded *out, tr_error *err)
{
    *out = (tr_loaded){0};
    if (!engine->model) return tr_fail(err, TR_ERR_USAGE, "no model file was given");
    if (engine->cutoff < 0 || engine->micro_tokens < 0)
        return tr_fail(err, TR_ERR_USAGE, "a limit of tokens cannot be negative");
    TR_TRY(tr_model_open(engine->model, &out->model, err));
    if (!engine->adapter) return TR_OK;
    tr_status status = tr_adapter_load(engine->adapter, out->model, &out->lora, err);
    if (status != TR_OK) {
        tr_loaded_close(out);
        return status;
    }
    double norm_a, norm_b;
    tr_adapter_norms(out->lora, &norm_a, &norm_b);
    if (norm_b == 0) tr_warn("the adapter %s changes nothing: all its B matrices are zero", engine->adapter);
    return TR_OK;
}

void tr_loaded_close(tr_loaded *loaded)
{
    if (loaded->lora) tr_lora_free(loaded->lora);
    if (loaded->model) tr_model_close(loaded->model);
    *loaded = (tr_loaded){0};
}

tr_status tr_source_open(const char *data, tr_split split, bool need_label, tr_source *out, tr_error *err)
{
    *out = (tr_source){0};
    if (!data) return tr_fail(err, TR_ERR_USAGE, "no data were given");
    if ((int)split < 0 || split >= TR_N_SPLITS) return tr_fail(err, TR_ERR_USAGE, "there is no split %d", (int)split);
    out->is_folder = tr_folder_exists(data);
    if (!out->is_folder) {
        out->examples = &out->file;
        if (tr_file_exists(data)) return tr_examples_read(data, need_label, &out->file, NULL, err);
        tr_fail(err, TR_ERR_IO, "there is no such file or folder");
        tr_at(err, "%s", data);
        return tr_hint(err, "give a data folder made by tallrec import, or a file of examples");
    }
    tr_status status = tr_dataset_open(data, &out->dataset, err);
    if (status == TR_OK) status = tr_dataset_split(&out->dataset, split, &out->examples, err);
    return status;
}

void tr_source_close(tr_source *source)
{
    if (source->is_folder) tr_dataset_close(&source->dataset);
    tr_examples_free(&source->file);
    *source = (tr_source){0};
}

tr_status tr_output_check(const char *path, tr_error *err)
{
    tr_writer writer;
    if (!path) return TR_OK;
    if (tr_folder_exists(path)) {
        tr_fail(err, TR_ERR_USAGE, "the output is a folder");
        tr_at(err, "%s", path);
        return tr_hint(err, "name a file in it");
    }
    TR_TRY(tr_writer_open(&writer, path, err));
    tr_writer_abandon(&writer);
    return TR_OK;
}
