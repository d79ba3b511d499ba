/* This file fuzzes the safetensors reader: tensors it accepts must tile the file's data exactly. */
#include "fuzz.h"

#include "format/safetensors.h"

FUZZ_SEEDS(FUZZ_FILE("golden/format/adapter.safetensors"), FUZZ_FILE("golden/format/mixed.safetensors"),
           FUZZ_TEXT("\x02\0\0\0\0\0\0\0{}"), FUZZ_TEXT("[9223372036854775807,2]"), FUZZ_TEXT("\"dtype\":\"F4\""),
           FUZZ_TEXT("\"data_offsets\":[0,8]"), FUZZ_TEXT("-1"), FUZZ_TEXT("1e3"))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tr_safetensors file;
    tr_error err;
    if (tr_safetensors_parse(data, size, &file, &err) != TR_OK) {
        if (file.tensors || !err.message[0]) abort();
        return 0;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < file.n_tensors; i++) {
        const tr_safetensor *t = &file.tensors[i];
        if (t->data < data || t->bytes > size || t->data + t->bytes > data + size) abort();
        total += t->bytes;
        float *y = malloc(2 * t->bytes + 1);
        if (!y) abort();
        (void)tr_safetensor_floats(t, y, &err);
        free(y);
    }
    if (file.n_tensors && file.tensors[0].data + total != data + size) abort();
    tr_safetensors_close(&file);
    return 0;
}
