#!/usr/bin/env python3
"""This file makes what transformers and PEFT compute with the real model on the published movie rows.

    python tools/make_golden_smollm2.py MODEL.gguf test.json test/golden [scores] [logits] [gradients] [steps]

MODEL is SmolLM2-135M-Instruct.Q4_1.gguf, test.json the published TALLRec movie test rows; neither is part of the
project, so the files hold row indexes, numbers and hashes, no text. Everything is float32 on dequantised weights.

smollm2_scores.json        rows 0..99: prompt tokens, log P of the first token of "Yes." and of "No."; and the same for
                           rows 0..9 under the formula adapter of `gradients`
smollm2_logits.json, .bin  rows 0,1,2: all logits at the prompt's last position, int16 times step
smollm2_gradients.json, .bin   losses, norms and gradients for the formula adapter (golden.py FORMULA)
smollm2_steps.json         four AdamW steps from the formula adapter, four ways
"""
import hashlib
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import numpy as np
import torch
from transformers import get_linear_schedule_with_warmup

import golden
from hf_from_gguf import load_model, load_tokenizer, read_ids


class Setting:
    """The model file, the rows, the tokenizer and the place for results."""

    def __init__(self, model_path, rows_path, out):
        self.model_path, self.out = model_path, pathlib.Path(out)
        self.rows = golden.read_rows(rows_path)
        self.tokenizer, self.ids = load_tokenizer(model_path), read_ids(model_path)
        self.header = {"model_sha256": sha256(model_path), "rows_sha256": sha256(rows_path)}

    def sequences(self, n):
        return [golden.sequence_of(row, self.tokenizer, self.ids) for row in self.rows[:n]]

    def lora(self, targets, rank, alpha, rslora=False):
        model = golden.with_lora(load_model(self.model_path), targets, rank, alpha, rslora)
        golden.fill_by_formula(model, targets)
        return model


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def last_logits(model, ids, answer):
    """Logits at the prompt's last position, which predict the answer's first token."""
    with torch.inference_mode():
        return model(torch.tensor([ids[:answer]]), use_cache=False, logits_to_keep=1).logits[0, -1]


def make_scores(s):
    yes, no = (s.tokenizer.encode(a).ids[0] for a in ("Yes.", "No."))

    def scores(model, n):
        for row, (ids, answer) in enumerate(s.sequences(n)):
            logp = last_logits(model, ids, answer).double().log_softmax(-1)
            yield {"row": row, "n_tokens": answer, "logp_yes": round(float(logp[yes]), 6),
                   "logp_no": round(float(logp[no]), 6)}

    golden.write_json(s.out / "smollm2_scores.json", s.header | {
        "yes_id": yes, "no_id": no, "rows": list(scores(load_model(s.model_path), 100)),
        "adapter": {"targets": golden.TARGETS, "rank": 4, "alpha": 8,
                    "rows": list(scores(s.lora(golden.TARGETS, 4, 8), 10))},
    }, indent=None)


def make_logits(s):
    model, step = load_model(s.model_path), 1e-3
    sequences = s.sequences(3)
    table = torch.stack([last_logits(model, ids, answer) for ids, answer in sequences])
    integers = torch.round(table / step)
    assert integers.abs().max() < 32767
    (s.out / "smollm2_logits.bin").write_bytes(integers.numpy().astype("<i2").tobytes())
    golden.write_json(s.out / "smollm2_logits.json", s.header | {
        "file": "smollm2_logits.bin", "layout": "int16 little-endian, shape (rows, vocabulary); logit = value * step",
        "step": step, "rows": [0, 1, 2], "n_vocab": table.shape[1], "n_tokens": [answer for _, answer in sequences],
        "argmax": table.argmax(-1).tolist()})


def gradient_case(s, name, targets, rank, alpha, rslora, loss_on, keep_layers, blob):
    """Loss and norms of one gradient; tensors of `keep_layers` are appended to `blob` as int16."""
    sequences = s.sequences(4)
    model = s.lora(targets, rank, alpha, rslora)
    start = time.time()
    loss = golden.backward(model, sequences, loss_on, s.ids["pad"], micro=2)
    named = list(golden.adapter_tensors(model, targets))
    kept = []
    for key, p in named:
        if int(key.split(".layers.")[1].split(".")[0]) in keep_layers:
            step = float(np.float32(float(p.grad.abs().max()) / 32767))
            values = torch.clamp(torch.round(p.grad.double() / step), -32767, 32767).numpy().astype("<i2")
            kept.append({"key": key, "shape": list(p.shape), "offset": len(blob), "step": golden.short(step)})
            blob += values.tobytes()
    print(name, loss, f"{time.time() - start:.0f} s", flush=True)
    return {"name": name, "targets": [m for m in golden.TARGETS if m in targets], "rank": rank, "alpha": alpha,
            "rslora": rslora, "loss_on": loss_on, "rows": list(range(4)), "n_tokens": [len(i) for i, _ in sequences],
            "n_targets": golden.count_targets(sequences, loss_on), "loss": golden.short(loss),
            "grad_norm": golden.short(golden.total_norm([p.grad for _, p in named])),
            "norms": [golden.short(golden.total_norm([p.grad])) for _, p in named], "tensors": kept}


def make_gradients(s):
    seven, blob = golden.TARGETS, bytearray()
    attention = ["q_proj", "v_proj"]
    cases = [gradient_case(s, "seven_all", seven, 4, 8, False, "all", (0, 15, 29), blob),
             gradient_case(s, "seven_answer", seven, 4, 8, False, "answer", (0, 15, 29), blob),
             gradient_case(s, "qv_all", attention, 8, 16, False, "all", (), blob),
             gradient_case(s, "qv_answer", attention, 8, 16, False, "answer", (), blob),
             gradient_case(s, "seven_rslora_answer", seven, 4, 8, True, "answer", (), blob)]
    (s.out / "smollm2_gradients.bin").write_bytes(blob)
    golden.write_json(s.out / "smollm2_gradients.json", s.header | {
        "formula": golden.FORMULA, "b_scale": 0.02, "file": "smollm2_gradients.bin",
        "layout": "int16 little-endian, row-major, `offset` in bytes; gradient = value * step",
        "norms_order": "as tensor numbers in `formula`", "cases": cases}, indent=None)


def run_steps(s, loss_on, recipe):
    targets = ["q_proj", "v_proj"]
    model, sequences = s.lora(targets, 8, 16), s.sequences(16)
    parameters = [p for _, p in golden.adapter_tensors(model, targets)]
    before = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    linear = recipe == "linear"
    schedule = get_linear_schedule_with_warmup(optimizer, 2, 4) if linear else None
    steps = []
    for step in range(4):
        start = time.time()
        optimizer.zero_grad()
        loss = golden.backward(model, sequences, loss_on, s.ids["pad"], micro=4)
        norm = golden.total_norm([p.grad for p in parameters])
        if linear:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        lr = optimizer.param_groups[0]["lr"]
        optimizer.step()
        if schedule:
            schedule.step()
        steps.append({"step": step + 1, "loss": golden.short(loss), "lr": lr, "grad_norm": golden.short(norm)})
        print(loss_on, recipe, steps[-1], f"{time.time() - start:.0f} s", flush=True)
    moved = golden.total_norm([p.detach() - b for p, b in zip(parameters, before)])
    return {"loss_on": loss_on, "schedule": recipe, "warmup": 2 if linear else 0, "clip": 1.0 if linear else 0.0,
            "steps": steps, "adapter_moved_norm": golden.short(moved)}


def make_steps(s):
    golden.write_json(s.out / "smollm2_steps.json", s.header | {
        "formula": golden.FORMULA, "b_scale": 0.02, "targets": ["q_proj", "v_proj"], "rank": 8, "alpha": 16,
        "dropout": 0, "rows": "0..15 in file order, all in each step", "lr": 1e-3, "total_steps": 4,
        "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0, "lr_of_step": "the one used by that step's update",
        "grad_norm": "before clipping", "adapter_moved_norm": "L2 norm of (adapter after 4 steps - adapter before)",
        "runs": [run_steps(s, loss_on, recipe) for loss_on in ("answer", "all") for recipe in ("constant", "linear")]})


def main():
    model, rows, out, *parts = sys.argv[1:]
    torch.set_num_threads(2)
    makers = {"scores": make_scores, "logits": make_logits, "gradients": make_gradients, "steps": make_steps}
    setting = Setting(model, rows, out)
    for part in parts or makers:
        makers[part](setting)


if __name__ == "__main__":
    main()
