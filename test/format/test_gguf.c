#include "testing.h"
#include "format/gguf.h"
static void test_real_model(void **state)
{
    (void)state;
    tr_gguf f; tr_error err;
    const char *p = test_path("TALLREC_TEST_MODEL");
    if (!p) skip_because("no model");
    assert_ok(tr_gguf_open(p, &f, &err), err);
    for (size_t i = 0; i < f.n_values; i++) printf("# %.*s %d %llu\n", (int)f.values[i].key.size, f.values[i].key.text, f.values[i].kind, (unsigned long long)f.values[i].count);
    for (size_t i = 0; i < 12; i++) printf("# %s %s %llu %llu\n", f.tensors[i].name, tr_type_name(f.tensors[i].type), (unsigned long long)f.tensors[i].dim[0], (unsigned long long)f.tensors[i].offset);
    tr_gguf_close(&f);
}
TR_TEST_MAIN(cmocka_unit_test(test_real_model))
