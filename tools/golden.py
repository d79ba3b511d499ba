"""This file holds what the golden makers and peer checks share: the prompt, rows to sequences, the formula
adapter, the loss over a padded batch. It is the slow and obvious counterpart of what tallrec does in C."""
import json
import math
import struct

import numpy as np
import torch
from peft import LoraConfig, get_peft_model

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PARENT = {"q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn", "o_proj": "self_attn",
          "gate_proj": "mlp", "up_proj": "mlp", "down_proj": "mlp"}
IGNORED = -100


def prompt_of(instruction, input_text):
    """The Alpaca template as the paper's code has it (the literal lint marker included), for a row with an input."""
    return ("Below is an instruction that describes a task, paired with an input that provides further context. "
            "Write a response that appropriately completes the request.  # noqa: E501\n\n"
            f"### Instruction:\n{instruction}\n\n### Input:\n{input_text}\n\n### Response:\n")


def read_rows(path):
    """Rows of a JSON array or of JSON Lines."""
    text = open(path, encoding="utf-8").read()
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def sequence_of(row, tokenizer, ids):
    """(token ids of prompt + answer + eos tokenised together, index of the answer's first token)."""
    start = [ids["bos"]] if ids["adds_bos"] else []
    prompt = start + tokenizer.encode(prompt_of(row["instruction"], row["input"]), add_special_tokens=False).ids
    whole = start + tokenizer.encode(prompt_of(row["instruction"], row["input"]) + row["output"],
                                     add_special_tokens=False).ids + [ids["eos"]]
    assert whole[:len(prompt)] == prompt, "answer merges into the prompt"
    return whole, len(prompt)


def padded(sequences, loss_on, pad):
    """input_ids, attention_mask, labels (n, longest), padded on the right. Targets are every token after the first
    (`all`) or those from the answer's first token on (`answer`)."""
    longest = max(len(ids) for ids, _ in sequences)
    tokens = torch.full((len(sequences), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(sequences), longest), dtype=torch.long)
    labels = torch.full((len(sequences), longest), IGNORED, dtype=torch.long)
    for row, (ids, answer) in enumerate(sequences):
        first = 1 if loss_on == "all" else answer
        tokens[row, :len(ids)] = torch.tensor(ids)
        mask[row, :len(ids)] = 1
        labels[row, first:len(ids)] = torch.tensor(ids[first:])
    return tokens, mask, labels


def count_targets(sequences, loss_on):
    return sum(len(ids) - (1 if loss_on == "all" else answer) for ids, answer in sequences)


def backward(model, sequences, loss_on, pad, micro=4):
    """Adds the gradient of the mean loss over all targets of the batch, `micro` rows at a time; returns the loss."""
    total, loss = count_targets(sequences, loss_on), 0.0
    for start in range(0, len(sequences), micro):
        tokens, mask, labels = padded(sequences[start:start + micro], loss_on, pad)
        logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        part = torch.nn.functional.cross_entropy(
            logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=IGNORED,
            reduction="sum") / total
        part.backward()
        loss += float(part.detach())
    return loss


def with_lora(model, targets, rank, alpha, rslora=False, dropout=0.0):
    """The model wrapped by PEFT, adapter weights as PEFT initialises them, adapter parameters trainable."""
    wrapped = get_peft_model(model, LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets),
                                               lora_dropout=dropout, use_rslora=rslora, bias="none",
                                               task_type="CAUSAL_LM"))
    return wrapped.eval() if dropout == 0 else wrapped.train()


def adapter_tensors(wrapped, targets):
    """(key as in adapter_model.safetensors, parameter): layer-major, modules in the order q k v o gate up down
    (those that are targets), A before B."""
    layers = wrapped.base_model.model.model.layers
    for index, layer in enumerate(layers):
        for module in (m for m in TARGETS if m in targets):
            parent = PARENT[module]
            lora = getattr(getattr(layer, parent), module)
            for half in ("lora_A", "lora_B"):
                yield (f"base_model.model.model.layers.{index}.{parent}.{module}.{half}.weight",
                       getattr(lora, half)["default"].weight)


def formula(t, n):
    """n numbers in [-0.5, 0.5) for tensor number t: u_i = ((i*2654435761 + t*40503*65537 + 12345) mod 2^32)/2^32 - 0.5
    (all 64-bit unsigned; the quotient is exact in double)."""
    i = np.arange(n, dtype=np.uint64)
    offset = np.uint64((t * 40503 * 65537 + 12345) % 2**32)
    return ((i * np.uint64(2654435761) + offset) % np.uint64(2**32)).astype(np.float64) / 2.0**32 - 0.5


FORMULA = ("tensor number t = 0,1,2,... in this order: layer-major; within a layer the targeted modules in the order "
           "q k v o gate up down; A then B. Element i is row-major in PEFT's shape (A: rank x in, B: out x rank; "
           "Hugging Face row order). u = ((i*2654435761 + t*40503*65537 + 12345) mod 2^32) / 2^32 - 0.5 in double; "
           "A = (float)(u * 2 / sqrt(in)); B = (float)(u * b_scale).")


def fill_by_formula(wrapped, targets, b_scale=0.02):
    """Sets the adapter to the FORMULA above."""
    with torch.no_grad():
        for t, (key, p) in enumerate(adapter_tensors(wrapped, targets)):
            scale = 2.0 / math.sqrt(p.shape[1]) if "lora_A" in key else b_scale
            p.copy_(torch.from_numpy((formula(t, p.numel()) * scale).astype(np.float32).reshape(p.shape)))


def total_norm(tensors):
    return math.sqrt(sum(float((t.double() ** 2).sum()) for t in tensors))


def write_json(path, value, indent=1):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=True, indent=indent)
        f.write("\n")
    print(path)


def short(x, digits=9):
    """A float with as many digits as float32 needs (9), so that JSON stays small and exact."""
    return float(f"{x:.{digits}g}")


def float32_hex(x):
    return struct.pack("<f", x).hex()
