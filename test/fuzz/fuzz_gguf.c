/* This file fuzzes the GGUF reader: the header, every typed access to the metadata, every tensor's bytes. */
#include "fuzz.h"

#include "format/gguf.h"

static volatile uint64_t seen; /* what is read is used, so that the compiler keeps the reads */

static void read_metadata(const tr_gguf *file)
{
    static const char *const key[] = {"general.architecture", "llama.block_count", "llama.rope.freq_base",
                                      "tokenizer.ggml.tokens", "tokenizer.ggml.add_bos_token", "absent"};
    tr_error err = {0};
    for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
        uint32_t integer = 0;
        float real = 0;
        bool truth = false;
        char *text = NULL;
        tr_gguf_string *strings = NULL;
        size_t n_strings = 0;
        tr_gguf_get_u32(file, key[i], 7, &integer, &err);
        tr_gguf_need_u32(file, key[i], &integer, &err);
        tr_gguf_get_f32(file, key[i], 7, &real, &err);
        tr_gguf_get_bool(file, key[i], true, &truth, &err);
        if (tr_gguf_get_string(file, key[i], &text, &err) == TR_OK && text) seen += (uint8_t)text[0];
        if (tr_gguf_need_strings(file, key[i], &strings, &n_strings, &err) == TR_OK)
            for (size_t s = 0; s < n_strings; s++)
                for (size_t b = 0; b < strings[s].size; b++) seen += (uint8_t)strings[s].text[b];
        seen += integer + truth;
        free(text);
        free(strings);
    }
}

static void read_tensors(const tr_gguf *file)
{
    tr_error err = {0};
    for (size_t t = 0; t < file->n_tensors; t++) {
        const tr_gguf_tensor *tensor = NULL;
        if (tr_gguf_find_tensor(file, file->tensors[t].name, &tensor, &err) != TR_OK) continue;
        for (uint64_t b = 0; b < tensor->bytes; b++) seen += tensor->data[b];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tr_gguf file = {0};
    tr_error err = {0};
    if (tr_gguf_parse(data, size, &file, &err) == TR_OK) {
        read_metadata(&file);
        read_tensors(&file);
        tr_gguf_close(&file);
    }
    return 0;
}
