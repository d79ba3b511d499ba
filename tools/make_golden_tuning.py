#!/usr/bin/env python3
"""This file makes test/golden/tiny_tuning.json: short tuning runs of the tiny model by PEFT, torch and transformers.

    python tools/make_golden_tuning.py test/golden

Needs what make_golden_tiny.py wrote there. Each case starts from tiny_adapter and takes its batches from the rows of
tiny_gradients.json in file order; it records loss, learning rate and gradient norm before clipping of each step, and
the L2 norms of the final parameters and of how far they moved.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import torch
from transformers import (get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup,
                          get_linear_schedule_with_warmup)

import golden
from hf_from_gguf import load_model, read_ids

SCHEDULES = {
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
    "constant": lambda optimizer, warmup, _total: get_constant_schedule_with_warmup(optimizer, warmup),
}
CASES = [
    {"schedule": "linear", "warmup": 2, "lr": 1e-2, "weight_decay": 0.0, "clip": 1.0, "batch": 2, "epochs": 3, "loss_on": "all"},
    {"schedule": "cosine", "warmup": 0, "lr": 5e-3, "weight_decay": 0.1, "clip": 0.0, "batch": 3, "epochs": 3, "loss_on": "answer"},
    {"schedule": "constant", "warmup": 1, "lr": 2e-3, "weight_decay": 0.01, "clip": 5.0, "batch": 4, "epochs": 5, "loss_on": "answer"},
]


def run(path, sequences, case):
    model = golden.with_lora(load_model(path, "eager"), golden.TARGETS, 3, 6, False)
    golden.fill_by_formula(model, golden.TARGETS, b_scale=0.5)
    params = [p for _, p in golden.adapter_tensors(model, golden.TARGETS)]
    start = [p.detach().clone() for p in params]
    optimizer = torch.optim.AdamW(params, lr=case["lr"], betas=(0.9, 0.999), eps=1e-8, weight_decay=case["weight_decay"])
    per_epoch = -(-len(sequences) // case["batch"])
    total = per_epoch * case["epochs"]
    schedule = SCHEDULES[case["schedule"]](optimizer, case["warmup"], total)
    steps = []
    for step in range(total):
        first = step % per_epoch * case["batch"]
        optimizer.zero_grad()
        lr = schedule.get_last_lr()[0]
        loss = golden.backward(model, sequences[first:first + case["batch"]], case["loss_on"], read_ids(path)["pad"])
        norm = golden.total_norm([p.grad for p in params])
        if case["clip"] > 0:
            torch.nn.utils.clip_grad_norm_(params, case["clip"])
        optimizer.step()
        schedule.step()
        steps.append({"loss": golden.short(loss), "lr": golden.short(lr, 12), "grad_norm": golden.short(norm)})
    moved = [p.detach() - s for p, s in zip(params, start)]
    return {**case, "steps": steps, "final_norm": golden.short(golden.total_norm([p.detach() for p in params])),
            "moved_norm": golden.short(golden.total_norm(moved))}


def main():
    out = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    rows = json.loads((out / "tiny_gradients.json").read_text())["sequences"]
    sequences = [(r["ids"], r["answer"]) for r in rows]
    cases = [run(out / "tiny_llama.gguf", sequences, case) for case in CASES]
    golden.write_json(out / "tiny_tuning.json", {"model": "tiny_llama.gguf", "adapter": "tiny_adapter", "cases": cases})


if __name__ == "__main__":
    main()
