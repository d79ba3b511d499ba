"""Checks that the Python package `safetensors` loads a file that tallrec wrote, e.g. an adapter.

Run: python tools/check_safetensors.py FILE   (needs safetensors, numpy). Prints name, shape, sum of each tensor."""
import sys

from safetensors import safe_open

with safe_open(sys.argv[1], framework="np") as f:
    assert f.metadata() == {"format": "pt"}, f.metadata()
    names = list(f.keys())
    for name in names:
        tensor = f.get_tensor(name)
        assert str(tensor.dtype) == "float32"
        print(f"{name!r} {tuple(tensor.shape)} {float(tensor.sum()):.9g}")
print(f"{len(names)} tensors")
