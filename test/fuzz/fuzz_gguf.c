/* This file fuzzes the GGUF reader: whatever it accepts must be readable to the last byte. */
#include "fuzz.h"

#include "format/gguf.h"

FUZZ_SEEDS(FUZZ_FILE("golden/format/small.gguf"), FUZZ_TEXT("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
           FUZZ_TEXT("\x11\0\0\0\0\0\0\0general.alignment\4\0\0\0\x40\0\0\0"),
           FUZZ_TEXT("\1\0\0\0\0\0\0\0w\1\0\0\0\40\0\0\0\0\0\0\0\x8\0\0\0\0\0\0\0\0\0\0\0"))

/* Asks for a value in every way; most are refused, none may crash. */
static void read_value(const tr_gguf *file, const tr_gguf_value *value)
{
    char key[256];
    uint32_t u;
    float f;
    bool b;
    char *text;
    tr_gguf_string *strings;
    size_t n, total = 0;
    tr_error err;
    snprintf(key, sizeof key, "%.*s", (int)(value->key.size < 255 ? value->key.size : 255), value->key.text);
    (void)tr_gguf_need_u32(file, key, &u, &err);
    (void)tr_gguf_need_f32(file, key, &f, &err);
    (void)tr_gguf_get_bool(file, key, false, &b, &err);
    if (tr_gguf_get_string(file, key, &text, &err) == TR_OK && text) total += strlen(text);
    free(text);
    if (tr_gguf_need_strings(file, key, &strings, &n, &err) == TR_OK)
        for (size_t i = 0; i < n; i++)
            if (strings[i].size) total += (uint8_t)strings[i].text[strings[i].size - 1];
    free(strings);
    volatile size_t sink = total;
    (void)sink;
}

/* Decodes the first and the last block. */
static void read_tensor(const tr_gguf *file, const tr_gguf_tensor *listed)
{
    const tr_gguf_tensor *t;
    float y[256];
    tr_error err;
    if (tr_gguf_find_tensor(file, listed->name, &t, &err) != TR_OK) return;
    const tr_type_info *info = tr_type_lookup((uint32_t)t->type);
    if (t != listed || t->bytes % (uint64_t)info->block_bytes != 0) abort();
    if (t->bytes == 0) return;
    tr_dequantize(t->type, t->data, y, (size_t)info->block_elements);
    tr_dequantize(t->type, t->data + t->bytes - info->block_bytes, y, (size_t)info->block_elements);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tr_gguf file;
    tr_error err;
    if (tr_gguf_parse(data, size, &file, &err) != TR_OK) {
        if (file.values || file.tensors || !err.message[0]) abort();
        return 0;
    }
    for (size_t i = 0; i < file.n_values && i < 64; i++) read_value(&file, &file.values[i]);
    for (size_t i = 0; i < file.n_tensors && i < 64; i++) read_tensor(&file, &file.tensors[i]);
    tr_gguf_close(&file);
    return 0;
}
