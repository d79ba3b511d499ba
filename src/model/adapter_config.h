/* adapter_config.json, PEFT's description of an adapter. Source: peft's LoraConfig. For adapter.c. */
#ifndef TR_MODEL_ADAPTER_CONFIG_H
#define TR_MODEL_ADAPTER_CONFIG_H

#include "model/lora.h"

/* Reads what the adapter is. Missing keys have PEFT's defaults (r 8, lora_alpha 8, dropout 0). A key that would
 * change the result and that this program does not follow, known or not, is TR_ERR_UNSUPPORTED with its name, unless
 * its value is a neutral one (null, false, "none", empty). target_modules may be a list of name endings,
 * "all-linear" or a regular expression, as in PEFT; it must choose a module in all layers or in none
 * (TR_ERR_UNSUPPORTED). */
tr_status tr_adapter_config_load(const char *path, const tr_model *model, tr_lora_config *out, tr_error *err);

/* Writes every key that PEFT 0.7 and later know, sorted, for inference; atomic. base_name may be NULL. */
tr_status tr_adapter_config_save(const char *path, const tr_lora_config *config, const char *base_name,
                                 tr_error *err);

#endif
