/* This file implements recipes from two tables: the named recipes, and the fields. Flags, JSON, ranges and comparison
 * all walk the table of fields, so that a new hyperparameter is one member and one row. */
#include "train/recipe.h"

#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the named recipes ---- */

static const struct {
    const char *name;
    tr_recipe recipe;
} named[] = {
    {"paper",
     {.lora = {.rank = 8, .alpha = 16, .dropout = 0.05f, .targets = 1u << TR_Q | 1u << TR_V},
      .lr = 1e-4, .schedule = TR_SCHEDULE_LINEAR, .warmup = 20, .batch = 128, .micro_tokens = 1024, .epochs = 200,
      .loss_on = TR_LOSS_ALL, .clip = 1.0, .eval_every = 10, .patience = 10, .cutoff = 512, .eos = true}},
    {"quick",
     {.lora = {.rank = 8, .alpha = 16, .targets = (1u << TR_N_MODULES) - 1},
      .lr = 1e-3, .schedule = TR_SCHEDULE_LINEAR, .warmup = 2, .batch = 16, .micro_tokens = 1024, .epochs = 8,
      .steps = 32, .loss_on = TR_LOSS_ANSWER, .clip = 1.0, .eval_every = 8, .valid_rows = 200, .balanced = true,
      .cutoff = 512, .eos = true}},
};

enum { N_NAMED = sizeof named / sizeof *named };

const char *tr_recipe_name(size_t i) { return i < N_NAMED ? named[i].name : NULL; }

tr_status tr_recipe_named(const char *name, tr_recipe *out, tr_error *err)
{
    for (size_t i = 0; i < N_NAMED; i++)
        if (strcmp(named[i].name, name) == 0) {
            *out = named[i].recipe;
            return TR_OK;
        }
    tr_fail(err, TR_ERR_USAGE, "there is no recipe '%.40s'", name);
    return tr_hint(err, "choose from: paper, quick");
}

/* ---- the fields ---- */

typedef enum { INTEGER, DOUBLE, FLOAT, BOOLEAN, SEED, CHOICE, TARGETS } kind;

typedef struct {
    const char *key;
    size_t offset;
    kind kind;
    double min, max;
    const char *range;            /* the same in words */
    const char *const *choices;   /* CHOICE: the names of 0, 1, ...; NULL at the end */
} field;

static const char *const schedules[] = {"linear", "cosine", "constant", NULL};
static const char *const losses[] = {"all", "answer", NULL};
static const char *const shuffles[] = {"epoch", "none", NULL};

#define AT(member) offsetof(tr_recipe, member)
#define NOT_NEGATIVE 0, INT_MAX, "0 or more"
#define BELOW_ONE 0, 1 - FLT_EPSILON / 2, "at least 0 and below 1"

static const field fields[] = {
    {"rank", AT(lora.rank), INTEGER, 1, 1024, "1 to 1024"},
    {"alpha", AT(lora.alpha), FLOAT, 1e-6, 1e6, "above 0 and at most 1e6"},
    {"dropout", AT(lora.dropout), FLOAT, BELOW_ONE},
    {"rslora", AT(lora.rslora), BOOLEAN},
    {"targets", AT(lora.targets), TARGETS},
    {"lr", AT(lr), DOUBLE, DBL_MIN, 1, "above 0 and at most 1"},
    {"schedule", AT(schedule), CHOICE, .choices = schedules},
    {"warmup", AT(warmup), INTEGER, NOT_NEGATIVE},
    {"batch", AT(batch), INTEGER, 1, 1 << 20, "1 to 1048576"},
    {"micro_tokens", AT(micro_tokens), INTEGER, 1, 1 << 24, "1 to 16777216"},
    {"epochs", AT(epochs), INTEGER, 1, 1000000, "1 to 1000000"},
    {"steps", AT(steps), INTEGER, NOT_NEGATIVE},
    {"loss_on", AT(loss_on), CHOICE, .choices = losses},
    {"weight_decay", AT(weight_decay), DOUBLE, 0, 1, "0 to 1"},
    {"clip", AT(clip), DOUBLE, 0, 1e9, "0 (no clipping) or more"},
    {"eval_every", AT(eval_every), INTEGER, NOT_NEGATIVE},
    {"patience", AT(patience), INTEGER, NOT_NEGATIVE},
    {"valid_rows", AT(valid_rows), INTEGER, NOT_NEGATIVE},
    {"balanced", AT(balanced), BOOLEAN},
    {"cutoff", AT(cutoff), INTEGER, 8, 1 << 20, "8 to 1048576 tokens"},
    {"eos", AT(eos), BOOLEAN},
    {"seed", AT(seed), SEED, .range = "0 to 2^63 - 1"},
    {"shuffle", AT(shuffle), CHOICE, .choices = shuffles},
};

enum { N_FIELDS = sizeof fields / sizeof *fields };

_Static_assert(sizeof(tr_schedule) == sizeof(int) && sizeof(tr_loss_on) == sizeof(int) &&
               sizeof(tr_shuffle) == sizeof(int), "CHOICE fields are read as int");

/* A field's value, whatever its type; 64-bit seeds are kept apart from numbers. */
static double number_at(const tr_recipe *r, const field *f)
{
    const void *at = (const char *)r + f->offset;
    switch (f->kind) {
    case DOUBLE: return *(const double *)at;
    case FLOAT: return *(const float *)at;
    case BOOLEAN: return *(const bool *)at;
    case SEED: return (double)*(const uint64_t *)at;
    default: return *(const int *)at;
    }
}

static void put_number(tr_recipe *r, const field *f, double value)
{
    void *at = (char *)r + f->offset;
    switch (f->kind) {
    case DOUBLE: *(double *)at = value; break;
    case FLOAT: *(float *)at = (float)value; break;
    case BOOLEAN: *(bool *)at = value != 0; break;
    case SEED: *(uint64_t *)at = (uint64_t)value; break;
    default: *(int *)at = (int)value; break;
    }
}

/* "micro_tokens" as a flag: "micro-tokens". */
static const char *flag_of(const field *f, char buffer[32])
{
    snprintf(buffer, 32, "%s", f->key);
    for (char *p = buffer; *p; p++)
        if (*p == '_') *p = '-';
    return buffer;
}

static const field *find_field(const char *name)
{
    char flag[32];
    for (size_t i = 0; i < N_FIELDS; i++)
        if (strcmp(name, flag_of(&fields[i], flag)) == 0 || strcmp(name, fields[i].key) == 0) return &fields[i];
    return NULL;
}

/* ---- from text ---- */

static tr_status bad_value(const field *f, const char *value, tr_error *err)
{
    char flag[32];
    tr_fail(err, TR_ERR_USAGE, "--%s does not take '%.60s'", flag_of(f, flag), value);
    if (f->kind == BOOLEAN) return tr_hint(err, "true or false");
    if (f->kind != CHOICE) return tr_hint(err, "a number, %s", f->range);
    return tr_hint(err, "%s, %s%s%s", f->choices[0], f->choices[1], f->choices[2] ? ", " : "",
                   f->choices[2] ? f->choices[2] : "");
}

static tr_status parse_number(const field *f, const char *value, double *out, tr_error *err)
{
    char *end;
    errno = 0;
    *out = strtod(value, &end);
    if (end == value || *end || !isfinite(*out)) return bad_value(f, value, err);
    if ((f->kind == INTEGER || f->kind == SEED) && (*out != floor(*out) || fabs(*out) > 0x1p63))
        return bad_value(f, value, err);
    if (f->kind == INTEGER && fabs(*out) > INT_MAX) return bad_value(f, value, err);
    return TR_OK;
}

static tr_status parse_seed(const field *f, const char *value, uint64_t *out, tr_error *err)
{
    char *end;
    errno = 0;
    long long parsed = strtoll(value, &end, 10);
    if (end == value || *end || errno || parsed < 0) return bad_value(f, value, err);
    *out = (uint64_t)parsed;
    return TR_OK;
}

static int find_choice(const field *f, const char *value)
{
    for (int i = 0; f->choices[i]; i++)
        if (strcmp(f->choices[i], value) == 0) return i;
    return -1;
}

static tr_status set_field(tr_recipe *recipe, const field *f, const char *value, tr_error *err)
{
    double number = 0;
    if (f->kind == TARGETS) return tr_lora_parse_targets(value, &recipe->lora.targets, err);
    if (f->kind == SEED) return parse_seed(f, value, &recipe->seed, err);
    if (f->kind == BOOLEAN) {
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0) return bad_value(f, value, err);
        number = value[0] == 't';
    } else if (f->kind == CHOICE) {
        number = find_choice(f, value);
        if (number < 0) return bad_value(f, value, err);
    } else {
        TR_TRY(parse_number(f, value, &number, err));
    }
    put_number(recipe, f, number);
    return TR_OK;
}

tr_status tr_recipe_set(tr_recipe *recipe, const char *flag, const char *value, tr_error *err)
{
    const field *f = find_field(flag);
    if (!f) return tr_fail(err, TR_ERR_USAGE, "a recipe has no '%.40s'", flag);
    return set_field(recipe, f, value, err);
}

/* ---- to text ---- */

/* The fewest digits that read back as the same number. */
static void format_real(double value, bool single, char *buffer, size_t size)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(buffer, size, "%.*g", digits, value);
        if (single ? strtof(buffer, NULL) == (float)value : strtod(buffer, NULL) == value) return;
    }
}

static void format_field(const tr_recipe *recipe, const field *f, char *buffer, size_t size)
{
    const double value = number_at(recipe, f);
    switch (f->kind) {
    case TARGETS: tr_lora_format_targets(recipe->lora.targets, buffer, size); break;
    case SEED: snprintf(buffer, size, "%llu", (unsigned long long)recipe->seed); break;
    case BOOLEAN: snprintf(buffer, size, "%s", value != 0 ? "true" : "false"); break;
    case CHOICE: snprintf(buffer, size, "%s", f->choices[(int)value]); break;
    case INTEGER: snprintf(buffer, size, "%d", (int)value); break;
    default: format_real(value, f->kind == FLOAT, buffer, size); break;
    }
}

bool tr_recipe_differ(const tr_recipe *a, const tr_recipe *b, tr_recipe_difference *out)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        format_field(a, &fields[i], out->a, sizeof out->a);
        format_field(b, &fields[i], out->b, sizeof out->b);
        flag_of(&fields[i], out->flag);
        if (strcmp(out->a, out->b) != 0) return true;
    }
    return false;
}

/* ---- ranges ---- */

tr_status tr_recipe_check(const tr_recipe *recipe, tr_error *err)
{
    char flag[32], text[96];
    for (size_t i = 0; i < N_FIELDS; i++) {
        const field *f = &fields[i];
        const double value = number_at(recipe, f);
        const bool ranged = f->kind == INTEGER || f->kind == DOUBLE || f->kind == FLOAT;
        if (f->kind == SEED ? recipe->seed <= INT64_MAX : !ranged || (value >= f->min && value <= f->max)) continue;
        format_field(recipe, f, text, sizeof text);
        return tr_fail(err, TR_ERR_USAGE, "--%s %s is out of range: it is %s", flag_of(f, flag), text, f->range);
    }
    if (!(recipe->lora.targets & ((1u << TR_N_MODULES) - 1)))
        return tr_fail(err, TR_ERR_USAGE, "--targets names no module");
    return TR_OK;
}

/* ---- JSON ---- */

static json_t *field_to_json(const tr_recipe *recipe, const field *f)
{
    char text[96];
    format_field(recipe, f, text, sizeof text);
    switch (f->kind) {
    case BOOLEAN: return json_boolean(number_at(recipe, f) != 0);
    case INTEGER: return json_integer((json_int_t)number_at(recipe, f));
    case SEED: return json_integer((json_int_t)recipe->seed);
    case DOUBLE:
    case FLOAT: return json_real(strtod(text, NULL));
    default: return json_string(text);
    }
}

tr_status tr_recipe_to_json(const tr_recipe *recipe, json_t **out, tr_error *err)
{
    TR_TRY(tr_recipe_check(recipe, err));
    *out = json_object();
    for (size_t i = 0; i < N_FIELDS; i++)
        if (json_object_set_new(*out, fields[i].key, field_to_json(recipe, &fields[i])) != 0) {
            json_decref(*out);
            *out = NULL;
            return tr_fail(err, TR_ERR_MEMORY, "out of memory for a recipe");
        }
    return TR_OK;
}

static tr_status field_from_json(tr_recipe *recipe, const field *f, const json_t *object, tr_error *err)
{
    const char *text;
    int64_t integer;
    double number;
    bool flag;
    switch (f->kind) {
    case BOOLEAN:
        if (!json_object_get(object, f->key)) return tr_fail(err, TR_ERR_FORMAT, "the recipe has no \"%s\"", f->key);
        TR_TRY(tr_json_get_bool(object, f->key, false, &flag, err));
        put_number(recipe, f, flag);
        return TR_OK;
    case SEED:
        TR_TRY(tr_json_need_integer(object, f->key, &integer, err));
        if (integer < 0) return tr_fail(err, TR_ERR_FORMAT, "\"seed\" is negative");
        recipe->seed = (uint64_t)integer;
        return TR_OK;
    case INTEGER:
        TR_TRY(tr_json_need_integer(object, f->key, &integer, err));
        if (integer < INT_MIN || integer > INT_MAX) return tr_fail(err, TR_ERR_FORMAT, "\"%s\" is too large", f->key);
        put_number(recipe, f, (double)integer);
        return TR_OK;
    case DOUBLE:
    case FLOAT:
        TR_TRY(tr_json_need_number(object, f->key, &number, err));
        put_number(recipe, f, number);
        return TR_OK;
    default:
        TR_TRY(tr_json_need_string(object, f->key, &text, err));
        return set_field(recipe, f, text, err);
    }
}

tr_status tr_recipe_from_json(const json_t *object, tr_recipe *out, tr_error *err)
{
    const char *key;
    json_t *value;
    *out = (tr_recipe){0};
    if (!json_is_object(object)) return tr_fail(err, TR_ERR_FORMAT, "the recipe is not a JSON object");
    json_object_foreach((json_t *)object, key, value) {
        const field *f = find_field(key);
        if (!f || strcmp(f->key, key) != 0)
            return tr_fail(err, TR_ERR_FORMAT, "the recipe has an unknown \"%.40s\"", key);
    }
    for (size_t i = 0; i < N_FIELDS; i++) TR_TRY(field_from_json(out, &fields[i], object, err));
    return tr_recipe_check(out, err);
}
