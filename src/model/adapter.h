/* Adapter folders in PEFT's layout: adapter_config.json and adapter_model.safetensors, so that Hugging Face loads
 * what this program writes and the other way round. Source: peft's save_and_load.py and LoraConfig. */
#ifndef TR_MODEL_ADAPTER_H
#define TR_MODEL_ADAPTER_H

#include "model/lora.h"

/* Reads an adapter made for this model. Refused by name: a folder without the two files; peft_type other than LORA;
 * use_dora, modules_to_save, bias, rank_pattern / alpha_pattern, layers_to_transform and other options that would
 * change the result; a target that the model lacks; a missing tensor (the first is named, with how many); extra
 * tensors; wrong shapes (both named: the usual sign of another base model); NaN. Nothing is ever ignored silently. */
tr_status tr_adapter_load(const char *folder, const tr_model *model, tr_lora **out, tr_error *err);

/* Writes the folder (created if needed): first the tensors, then the config; each atomically. base_name goes to
 * base_model_name_or_path. Values are float32, rows of q and k in Hugging Face's order. */
tr_status tr_adapter_save(const char *folder, const tr_model *model, const tr_lora *lora, const char *base_name,
                          tr_error *err);

/* L2 norms of the whole A and B parts: an all-zero B does nothing, and says so in `inspect` and `eval`. */
void tr_adapter_norms(const tr_lora *lora, double *norm_a, double *norm_b);

#endif
