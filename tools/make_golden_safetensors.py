"""Makes test/golden/format/adapter.safetensors (float32, as tallrec writes it, to the byte) and mixed.safetensors
(other types, a scalar and an empty tensor) with the Python package `safetensors`.

Run: python tools/make_golden_safetensors.py test/golden/format   (needs safetensors, torch)"""
import sys

import torch
from safetensors.torch import save_file

PREFIX = "base_model.model.model.layers.0.self_attn.q_proj."


def main():
    folder = sys.argv[1]
    save_file({PREFIX + "lora_B.weight": torch.tensor([[1.0], [2], [3], [4]]),
               PREFIX + "lora_A.weight": torch.tensor([[0.5, -0.25]]),
               'na"me\u00e9\n': torch.tensor(0.1)},
              folder + "/adapter.safetensors", metadata={"format": "pt"})
    values = torch.tensor([0.0, 1.0, -2.5, 65504.0, 1e-7])
    save_file({"half": values.to(torch.float16), "brain": values.to(torch.bfloat16),
               "single": values.reshape(1, 5, 1), "whole": torch.arange(3), "scalar": torch.tensor(7.0),
               "empty": torch.zeros(0, 4)},
              folder + "/mixed.safetensors")


main()
