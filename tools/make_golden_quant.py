"""Makes test/golden/format/quant.json: random blocks of every element type that tallrec decodes, and the
float32 bit patterns to which the Python package `gguf` decodes them.

Run: python tools/make_golden_quant.py test/golden/format/quant.json   (needs gguf and numpy)"""
import json
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

# type -> byte offsets of its half-precision scales
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
# One scale for each block: ordinary ones of both signs, a subnormal, the largest, zero.
VALUES = [np.float16(x) for x in (0.0123, -0.8, 6e-8 * 100, 65504, -0.0)]


def random_blocks(rng, name, n_blocks):
    _, n_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    blocks = rng.integers(0, 256, (n_blocks, n_bytes), dtype=np.uint8)
    for b in range(n_blocks):
        for k, at in enumerate(SCALES[name]):
            half = VALUES[(b + k) % len(VALUES)]
            blocks[b, at:at + 2] = np.frombuffer(half.tobytes(), np.uint8)
    return blocks


def random_scalars(rng, name):
    values = rng.normal(0, 1, 24).astype(np.float32)
    values[:4] = [0, -0.0, 6e-8, -65504]
    if name == "F32":
        return values.view(np.uint8)
    if name == "F16":
        return values.astype(np.float16).view(np.uint8)
    return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)


def main():
    rng = np.random.default_rng(20230923)
    golden = {}
    for name in ["F32", "F16", "BF16", *SCALES]:
        kind = GGMLQuantizationType[name]
        block_elements, _ = GGML_QUANT_SIZES[kind]
        if block_elements == 1:
            data = random_scalars(rng, name)
        else:
            data = random_blocks(rng, name, 5 if block_elements == 32 else 2).reshape(-1)
        floats = dequantize(data, kind).reshape(-1).astype(np.float32)
        assert np.isfinite(floats).all()
        golden[name] = {"id": int(kind), "bytes": data.tobytes().hex(),
                        "floats": floats.view(np.uint32).astype("<u4").tobytes().hex()}
    with open(sys.argv[1], "w") as f:
        json.dump(golden, f, indent=1)
        f.write("\n")


main()
