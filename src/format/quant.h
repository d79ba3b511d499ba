/* Block quantisation: the element types of weight files, and the reference decoding of each.
 * Source: ggml's ggml-common.h and ggml-quants.c (facts only). The fast, vectorised decoders live in
 * src/kernel and are tested bit for bit against these. */
#ifndef TR_FORMAT_QUANT_H
#define TR_FORMAT_QUANT_H

#include "base/error.h"

/* Numbers are GGUF's ggml_type ids. */
typedef enum {
    TR_TYPE_F32 = 0, TR_TYPE_F16 = 1, TR_TYPE_Q4_0 = 2, TR_TYPE_Q4_1 = 3, TR_TYPE_Q5_0 = 6, TR_TYPE_Q5_1 = 7,
    TR_TYPE_Q8_0 = 8, TR_TYPE_Q4_K = 12, TR_TYPE_Q5_K = 13, TR_TYPE_Q6_K = 14, TR_TYPE_BF16 = 30,
} tr_type;

typedef struct {
    const char *name;      /* "Q4_K" */
    int block_elements;    /* 1, 32 or 256 */
    int block_bytes;
    bool supported;        /* false: known by name only (Q2_K, IQ4_NL, ...); never decode it */
} tr_type_info;

/* NULL for an id that no file may hold. */
const tr_type_info *tr_type_lookup(uint32_t id);
/* The name for a message, also of types that were removed from the format or never reach a file; NULL for an
 * id that was never given. */
const char *tr_type_name(uint32_t id);

/* Bytes of a row of n elements. n must be a multiple of the block and the result fit (else 0). */
size_t tr_type_row_bytes(tr_type type, size_t n);

/* Decodes n elements (a multiple of the block) of a supported type. `source` needs no alignment.
 * Rounding: every product and sum in float32 with one rounding each (no fused multiply-add), as
 * the reference implementation in Python (gguf.quants.dequantize) computes them. */
void tr_dequantize(tr_type type, const void *source, float *out, size_t n);

/* Exact. A NaN comes out quiet, with its payload. */
float tr_half_to_float(uint16_t half);
uint16_t tr_float_to_half(float value); /* round to nearest even */
float tr_bfloat16_to_float(uint16_t value);

#endif
