/* This file reads and writes adapter_config.json. The rule for reading is that nothing is ignored: a key is used, or
 * known not to matter, or it must hold a value that means "off". So an option that a later PEFT invents is refused by
 * name until somebody decides what it means here. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/adapter_config.h"
#include "format/json.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

static const char *const used_keys[] = {
    "peft_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules", "task_type", "init_lora_weights",
};

/* Names, versions, ways to initialise, and parameters of methods that have their own switch. */
static const char *const harmless_keys[] = {
    "auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying", "eva_config", "inference_mode",
    "lora_ga_config", "loftq_config", "megatron_config", "megatron_core", "peft_version", "qalora_group_size",
    "revision", "runtime_config",
};

static bool listed(const char *key, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(key, list[i]) == 0) return true;
    return false;
}

static bool is_off(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
    case JSON_FALSE: return true;
    case JSON_STRING: return strcmp(json_string_value(value), "none") == 0;
    case JSON_ARRAY: return json_array_size(value) == 0;
    case JSON_OBJECT: return json_object_size(value) == 0;
    default: return false;
    }
}

static tr_status check_keys(const json_t *config, tr_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)config, key, value) {
        if (listed(key, used_keys, sizeof used_keys / sizeof *used_keys) ||
            listed(key, harmless_keys, sizeof harmless_keys / sizeof *harmless_keys) || is_off(value))
            continue;
        tr_fail(err, TR_ERR_UNSUPPORTED, "the adapter sets %.100s, which changes the result and is not supported", key);
        return tr_hint(err, "merge the adapter into its base model with PEFT, or train one without %.100s", key);
    }
    return TR_OK;
}

/* PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA subtract the initial adapter from the base's weights. */
static tr_status check_initialisation(const json_t *config, tr_error *err)
{
    static const char *const harmless[] = {"gaussian", "eva", "orthogonal"};
    const json_t *how = json_object_get(config, "init_lora_weights");
    const char *name = json_string_value(how);
    if (!how || json_is_null(how) || json_is_boolean(how)) return TR_OK;
    if (name && listed(name, harmless, sizeof harmless / sizeof *harmless)) return TR_OK;
    tr_fail(err, TR_ERR_UNSUPPORTED, "the adapter has init_lora_weights %.40s, which changes the base's weights",
            name ? name : "of an unknown kind");
    return tr_hint(err, "PEFT makes a plain LoRA of it: save_pretrained(path_initial_model_for_weight_conversion=...)");
}

static tr_status check_kind(const json_t *config, tr_error *err)
{
    const char *type, *task;
    TR_TRY(tr_json_need_string(config, "peft_type", &type, err));
    TR_TRY(tr_json_get_string(config, "task_type", "CAUSAL_LM", &task, err));
    if (strcmp(type, "LORA") != 0)
        return tr_fail(err, TR_ERR_UNSUPPORTED, "the adapter has peft_type %.40s; only LORA is supported", type);
    if (strcmp(task, "CAUSAL_LM") != 0)
        return tr_fail(err, TR_ERR_UNSUPPORTED, "the adapter has task_type %.40s; only CAUSAL_LM is supported", task);
    return TR_OK;
}

/* ---- target_modules ---- */

/* "model.layers.0.self_attn.q_proj": the name that PEFT's rules are applied to. */
static void module_path(char buffer[96], int layer, tr_module module)
{
    snprintf(buffer, 96, "model.layers.%d.%s.%s", layer, tr_module_parent(module), tr_module_name(module));
}

typedef struct {
    const char *ending;   /* a name ending, or */
    pcre2_code *code;     /* a regular expression that must match the whole */
    pcre2_match_data *match;
    pcre2_match_context *context;
} rule;

static bool rule_matches(const rule *r, const char *path)
{
    const size_t size = strlen(path);
    if (r->code) return pcre2_match(r->code, (PCRE2_SPTR)path, size, 0, 0, r->match, r->context) >= 0;
    const size_t n = strlen(r->ending);
    return n <= size && strcmp(path + size - n, r->ending) == 0 && (n == size || path[size - n - 1] == '.');
}

/* Sets the bits of the modules that the rule chooses. A module must be chosen in every layer or in none. */
static tr_status apply_rule(const rule *r, const char *text, const tr_model *model, uint32_t *targets, tr_error *err)
{
    char path[96];
    uint32_t chosen = 0;
    for (int m = 0; m < TR_N_MODULES; m++) {
        int layers = 0;
        for (int l = 0; l < model->config.n_layers; l++) {
            module_path(path, l, (tr_module)m);
            layers += rule_matches(r, path);
        }
        if (layers == 0) continue;
        chosen |= 1u << m;
        if (layers < model->config.n_layers)
            return tr_fail(err, TR_ERR_UNSUPPORTED,
                           "target_modules '%.100s' chooses %s in %d of %d layers; only all or none is supported", text,
                           tr_module_name((tr_module)m), layers, model->config.n_layers);
    }
    if (!chosen) {
        tr_fail(err, TR_ERR_UNSUPPORTED, "target_modules '%.100s' is no linear module of this model's layers", text);
        return tr_hint(err, "supported are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj");
    }
    *targets |= chosen;
    return TR_OK;
}

static tr_status compile(const char *text, rule *r, tr_error *err)
{
    int code;
    PCRE2_SIZE offset;
    r->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                            &code, &offset, NULL);
    if (!r->code)
        return tr_fail(err, TR_ERR_UNSUPPORTED, "target_modules '%.100s' is no regular expression that can be read",
                       text);
    r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
    r->context = pcre2_match_context_create(NULL);
    if (!r->match || !r->context) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a regular expression");
    pcre2_set_match_limit(r->context, 100000); /* a hostile expression must not run for hours */
    return TR_OK;
}

static tr_status apply_expression(const char *text, const tr_model *model, uint32_t *targets, tr_error *err)
{
    rule r = {0};
    tr_status status = compile(text, &r, err);
    if (status == TR_OK) status = apply_rule(&r, text, model, targets, err);
    pcre2_match_context_free(r.context);
    pcre2_match_data_free(r.match);
    pcre2_code_free(r.code);
    return status;
}

static tr_status read_targets(const json_t *config, const tr_model *model, uint32_t *out, tr_error *err)
{
    const json_t *value = json_object_get(config, "target_modules"), *entry;
    const char *text = json_string_value(value);
    size_t i;
    *out = 0;
    if (text && strcmp(text, "all-linear") == 0) {
        *out = (1u << TR_N_MODULES) - 1;
        return TR_OK;
    }
    if (text) return apply_expression(text, model, out, err);
    if (json_array_size(value) == 0) return tr_fail(err, TR_ERR_FORMAT, "target_modules names no modules");
    json_array_foreach(value, i, entry) {
        rule r = {.ending = json_string_value(entry)};
        if (!r.ending || !*r.ending) return tr_fail(err, TR_ERR_FORMAT, "target_modules is not a list of names");
        TR_TRY(apply_rule(&r, r.ending, model, out, err));
    }
    return TR_OK;
}

/* ---- the whole ---- */

static tr_status read_config(const json_t *config, const tr_model *model, tr_lora_config *out, tr_error *err)
{
    int64_t rank;
    double alpha, dropout;
    if (!json_is_object(config))
        return tr_fail(err, TR_ERR_FORMAT, "the adapter's configuration is not a JSON object");
    TR_TRY(check_kind(config, err));
    TR_TRY(check_keys(config, err));
    TR_TRY(check_initialisation(config, err));
    TR_TRY(tr_json_get_integer(config, "r", 8, &rank, err));
    TR_TRY(tr_json_get_number(config, "lora_alpha", 8, &alpha, err));
    TR_TRY(tr_json_get_number(config, "lora_dropout", 0, &dropout, err));
    TR_TRY(tr_json_get_bool(config, "use_rslora", false, &out->rslora, err));
    TR_TRY(read_targets(config, model, &out->targets, err));
    if (rank < 1 || rank > 1024)
        return tr_fail(err, TR_ERR_UNSUPPORTED, "the adapter has r %lld; 1 to 1024 are supported", (long long)rank);
    if (!((float)alpha > 0) || !(alpha < 1e30))
        return tr_fail(err, TR_ERR_VALUE, "the adapter has lora_alpha %g", alpha);
    if (!(dropout >= 0) || !((float)dropout < 1))
        return tr_fail(err, TR_ERR_VALUE, "the adapter has lora_dropout %g", dropout);
    out->rank = (int)rank;
    out->alpha = (float)alpha;
    out->dropout = (float)dropout;
    return TR_OK;
}

tr_status tr_adapter_config_load(const char *path, const tr_model *model, tr_lora_config *out, tr_error *err)
{
    json_t *config;
    *out = (tr_lora_config){0};
    TR_TRY(tr_json_load(path, &config, err));
    tr_status status = read_config(config, model, out, err);
    json_decref(config);
    if (status != TR_OK) tr_at(err, "%s", path);
    return status;
}

/* A float with the digits that it needs, not those of its double; an integer where it is one, as PEFT's alpha is. */
static json_t *shortest(float value, bool integer)
{
    char text[32];
    if (integer && value == (float)(int)value) return json_integer((int)value);
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    return json_real(strtod(text, NULL));
}

static json_t *target_list(uint32_t targets)
{
    json_t *list = json_array();
    for (int m = 0; m < TR_N_MODULES; m++)
        if (targets >> m & 1) json_array_append_new(list, json_string(tr_module_name((tr_module)m)));
    return list;
}

tr_status tr_adapter_config_save(const char *path, const tr_lora_config *config, const char *base_name, tr_error *err)
{
    static const char *const null_keys[] = {"auto_mapping", "layer_replication", "layers_pattern",
                                            "layers_to_transform", "megatron_config", "modules_to_save", "revision"};
    json_t *object = json_pack("{s:i s:o s:o s:o s:b s:b s:s? s:s s:s s:s s:s s:b s:b s:b s:{} s:{} s:{}}",
                               "r", config->rank,
                               "lora_alpha", shortest(config->alpha, true),
                               "lora_dropout", shortest(config->dropout, false),
                               "target_modules", target_list(config->targets),
                               "use_rslora", config->rslora, "use_dora", 0,
                               "base_model_name_or_path", base_name,
                               "peft_type", "LORA", "task_type", "CAUSAL_LM", "bias", "none",
                               "megatron_core", "megatron.core",
                               "fan_in_fan_out", 0, "inference_mode", 1, "init_lora_weights", 1,
                               "alpha_pattern", "rank_pattern", "loftq_config");
    bool failed = !object;
    for (size_t i = 0; i < sizeof null_keys / sizeof *null_keys; i++)
        failed = failed || json_object_set_new(object, null_keys[i], json_null()) != 0;
    tr_status status = failed ? tr_fail(err, TR_ERR_MEMORY, "out of memory for an adapter's configuration")
                              : tr_json_save(path, object, true, err);
    json_decref(object);
    return status;
}
