#!/usr/bin/env python3
"""This file is the other side of the benchmark: the same work in torch, transformers and PEFT, as their users do it.
bench/run.py starts it in the environment of bench/peers.sh, a fresh process for each measurement.

    peer.py save  MODEL.gguf FOLDER                 the float32 Hugging Face model, made once
    peer.py train FOLDER MODEL.gguf ROWS --micro 16 --steps 2
    peer.py score FOLDER MODEL.gguf ROWS --micro 8 --scores FILE

Prints one line of JSON. Times leave out start-up, loading and tokenising. torch gets what helps it: rows sorted by
length so that little is padding, its fused attention (sdpa), the output layer at the last position only when it scores.
"""
import argparse
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

import torch
from transformers import AutoModelForCausalLM

import golden
import hf_from_gguf


def load(arguments):
    """(model, sequences in file order, id used for padding)."""
    tokenizer, ids = hf_from_gguf.load_tokenizer(arguments.gguf), hf_from_gguf.read_ids(arguments.gguf)
    rows = golden.read_rows(arguments.rows)
    sequences = [golden.sequence_of(row, tokenizer, ids) for row in rows]
    answers = tuple(tokenizer.encode(a).ids[0] for a in ("Yes.", "No."))
    model = AutoModelForCausalLM.from_pretrained(arguments.folder, dtype=torch.float32, attn_implementation="sdpa")
    return model, sequences, answers, ids["pad"] if ids["pad"] is not None else ids["eos"]


def train(arguments):
    """LoRA as the paper has it (q, v, rank 8, alpha 16, dropout .05), loss on all tokens, plain AdamW."""
    model, sequences, _, pad = load(arguments)
    torch.manual_seed(0)
    model = golden.with_lora(model, ["q_proj", "v_proj"], 8, 16, dropout=0.05)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, weight_decay=0.0)
    n_targets = golden.count_targets(sequences, "all")
    by_length = sorted(sequences, key=lambda s: len(s[0]))
    seconds, losses = [], []
    for _ in range(arguments.steps):
        start, loss = time.perf_counter(), 0.0
        optimizer.zero_grad()
        for first in range(0, len(by_length), arguments.micro):
            tokens, mask, labels = golden.padded(by_length[first:first + arguments.micro], "all", pad)
            part = model(input_ids=tokens, attention_mask=mask, labels=labels, use_cache=False,
                         num_items_in_batch=n_targets).loss
            part.backward()
            loss += float(part.detach())
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        losses.append(loss)
    return {"rows": len(sequences), "tokens": sum(len(i) for i, _ in sequences), "seconds": seconds, "losses": losses}


def score(arguments):
    """log P(Yes), log P(No) of every row, `micro` rows at a time, padded on the left so that all end together."""
    model, sequences, (yes, no), pad = load(arguments)
    model.eval()
    prompts = sorted(((ids[:answer], row) for row, (ids, answer) in enumerate(sequences)), key=lambda p: len(p[0]))
    results = {}

    def batch(part):
        longest = max(len(ids) for ids, _ in part)
        tokens = torch.full((len(part), longest), pad)
        mask = torch.zeros((len(part), longest), dtype=torch.long)
        for line, (ids, _) in enumerate(part):
            tokens[line, longest - len(ids):] = torch.tensor(ids)
            mask[line, longest - len(ids):] = 1
        full = bool(mask.all())
        logits = model(input_ids=tokens, attention_mask=None if full else mask, use_cache=False, logits_to_keep=1,
                       position_ids=None if full else (mask.cumsum(-1) - 1).clamp(min=0)).logits[:, -1]
        logp = logits.log_softmax(-1)
        for (_, row), line in zip(part, logp):
            results[row] = (float(line[yes]), float(line[no]))

    with torch.inference_mode():
        batch(prompts[:1])  # the first call sets things up
        start = time.perf_counter()
        for first in range(0, len(prompts), arguments.micro):
            batch(prompts[first:first + arguments.micro])
        seconds = time.perf_counter() - start
    with open(arguments.scores, "w", encoding="utf-8") as out:
        for row, (logp_yes, logp_no) in sorted(results.items()):
            out.write(json.dumps({"row": row, "logp_yes": logp_yes, "logp_no": logp_no}) + "\n")
    return {"rows": len(prompts), "tokens": sum(len(ids) for ids, _ in prompts), "seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    saver = commands.add_parser("save")
    saver.add_argument("gguf")
    saver.add_argument("folder")
    for name in ("train", "score"):
        command = commands.add_parser(name)
        command.add_argument("folder")
        command.add_argument("gguf")
        command.add_argument("rows")
        command.add_argument("--micro", type=int, required=True)
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--steps", type=int, default=1)
        command.add_argument("--scores", default="/dev/null")
    arguments = parser.parse_args()
    if arguments.command == "save":
        hf_from_gguf.save(arguments.gguf, arguments.folder)
        return
    torch.set_num_threads(arguments.threads)
    print(json.dumps({"train": train, "score": score}[arguments.command](arguments)))


if __name__ == "__main__":
    main()
