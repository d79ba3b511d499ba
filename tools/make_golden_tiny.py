#!/usr/bin/env python3
"""This file makes the two tiny models of the test suite and what transformers and PEFT compute with them.

    python tools/make_golden_tiny.py test/golden

tiny_llama.gguf      tied output, F16 matrices, head size 16, rope base 10000
tiny_llama3.gguf     own output matrix, Q8_0 matrices, head size 32 (not width/heads), rope base 500000 with the
                     llama3 divisors as rope_freqs.weight
tiny_*_logits.json   ids and the logits of every position
tiny_gradients.json, .safetensors       losses, norms and LoRA gradients of a padded batch
tiny_adapter/, tiny_adapter_rslora/, tiny_adapter_llama3/     the adapters, written by PEFT
tiny_tokens.json     ids of some strings by the tokenizers package

The sentences that train the tokenizer are written here for the purpose. Same versions of the packages give the same
bytes; other versions may learn other merges, then all files change together.
"""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

import golden
from hf_from_gguf import load_model, load_tokenizer, read_ids

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
INSTRUCTION = ("Given the user's preference and unpreference, identify whether the user will like the target movie "
               'by answering "Yes." or "No.".')
# Invented titles: the suite may hold no real data set.
TITLES = ["Copper Harbor (1981)", "The Last Lantern (1994)", "Winter of Two Moons (1967)",
          "Paper Tigers, Glass Birds (1999)", "Slow Train to Ostend (1973)", "A Map of Rain (1988)",
          "Lantern Street (1992)", "Two Brothers and a Goat (1959)"]


def movie_input(liked, disliked, target):
    def quoted(names):
        return ", ".join(f'"{n}"' for n in names)
    return (f"User Preference: {quoted(liked)}\nUser Unpreference: {quoted(disliked)}\n"
            f'Whether the user will like the target movie "{target}"?')


# Three rows of one user (the second and third share all but the target and answer) and one short row of another kind.
ROWS = [
    {"instruction": INSTRUCTION, "input": movie_input(TITLES[0:2], TITLES[2:3], TITLES[3]), "output": "Yes."},
    {"instruction": INSTRUCTION, "input": movie_input(TITLES[0:2], TITLES[2:4], TITLES[4]), "output": "No."},
    {"instruction": INSTRUCTION, "input": movie_input(TITLES[0:2], TITLES[2:4], TITLES[5]), "output": "Yes."},
    {"instruction": "Say whether the user will like it.", "input": f'Target: "{TITLES[6]}"', "output": "No."},
]
STRINGS = ["", " ", "Yes.", "No.", "Response:\nYes.", "Heat of 1995, 8.5/10!!", "the  user   will", "\n\n \n",
           "caf\u00e9 \u65e5\u672c \U0001F999",
           "<|im_start|>user<|im_end|>\n", "Whether the user will like the target movie \"A Map of Rain (1988)\"?"]


def sentences():
    """Text that the tokenizer learns from."""
    out = []
    for k, title in enumerate(TITLES):
        others = TITLES[k + 1:] + TITLES[:k]
        for answer in ("Yes.", "No."):
            out.append(golden.prompt_of(INSTRUCTION, movie_input(others[:4], others[4:6], title)) + answer)
    return out + ["The user likes slow movies about trains.", "She did not finish the film.", "Yes. No. Yes. No."]


def train_tokenizer(vocab_size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=[AddedToken(s, special=True) for s in SPECIAL],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(sentences(), trainer)
    return tokenizer


def llama3_divisors(head_dim, base, factor, low, high, original):
    frequency = base ** -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    wave = 2 * np.pi / frequency
    smooth = (original / wave - low) / (high - low)
    middle = 1 / ((1 - smooth) / factor + smooth)
    return np.where(wave < original / high, 1.0, np.where(wave > original / low, factor, middle)).astype(np.float32)


def write_gguf(path, tokenizer, *, name, head_dim, base, matrix_type, tied, divisors, seed):
    layers, width, heads, kv_heads, ff, context = 2, 64, 4, 2, 96, 1024
    rng = np.random.default_rng(seed)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda kv: kv[1])]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(name)
    writer.add_file_type({"F16": 1, "Q8_0": 7}[matrix_type])
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(ff)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(base)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_rope_dimension_count(head_dim)
    if head_dim != width // heads:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t in SPECIAL else 1 for t in tokens])
    writer.add_token_merges([" ".join(m) for m in model["merges"]])
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    if matrix_type == "Q8_0":
        writer.add_quantization_version(2)
    kind = gguf.GGMLQuantizationType[matrix_type]

    def matrix(name, rows, columns, scale):
        w = (rng.standard_normal((rows, columns)) * scale).astype(np.float32)
        writer.add_tensor(name, gguf.quants.quantize(w, kind), raw_dtype=kind)

    def norm(name):
        writer.add_tensor(name, (1 + 0.2 * rng.standard_normal(width)).astype(np.float32))

    matrix("token_embd.weight", len(tokens), width, 0.25)
    for l in range(layers):
        norm(f"blk.{l}.attn_norm.weight")
        matrix(f"blk.{l}.attn_q.weight", heads * head_dim, width, 1.5 / width**0.5)
        matrix(f"blk.{l}.attn_k.weight", kv_heads * head_dim, width, 1.5 / width**0.5)
        matrix(f"blk.{l}.attn_v.weight", kv_heads * head_dim, width, 1.0 / width**0.5)
        matrix(f"blk.{l}.attn_output.weight", width, heads * head_dim, 1.0 / (heads * head_dim)**0.5)
        norm(f"blk.{l}.ffn_norm.weight")
        matrix(f"blk.{l}.ffn_gate.weight", ff, width, 1.5 / width**0.5)
        matrix(f"blk.{l}.ffn_up.weight", ff, width, 1.0 / width**0.5)
        matrix(f"blk.{l}.ffn_down.weight", width, ff, 1.0 / ff**0.5)
    norm("output_norm.weight")
    if not tied:
        matrix("output.weight", len(tokens), width, 0.25)
    if divisors is not None:
        writer.add_tensor("rope_freqs.weight", divisors)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(path, path.stat().st_size)


def logits_golden(path, out):
    model, tokenizer = load_model(path, "eager"), load_tokenizer(path)
    long = golden.sequence_of(ROWS[1], tokenizer, read_ids(path))[0]
    cases = [[17], [5, 5, 5, 9], tokenizer.encode("The user will like the movie. Yes.").ids, long[:100]]
    result = []
    with torch.inference_mode():
        for ids in cases:
            logits = model(torch.tensor([ids])).logits[0]
            keep = list(range(len(ids))) if len(ids) < 16 else [0, 1, 50, 98, 99]
            result.append({"ids": ids, "positions": keep,
                           "logits": [[golden.short(float(x), 7) for x in logits[p]] for p in keep]})
    golden.write_json(out, {"model": path.name, "cases": result}, indent=None)


def save_adapter(model, folder, drop=()):
    """PEFT's own folder, without its README; target_modules sorted (PEFT writes a set in any order) and the keys
    `drop` left out of adapter_config.json, as versions of PEFT that did not know them wrote it."""
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "adapter_model.safetensors").chmod(0o644)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["target_modules"].sort()
    config = {k: v for k, v in config.items() if k not in drop}
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2))


def gradient_case(path, name, loss_on, store, folder, rslora=False):
    """One PEFT gradient; tensors go to `store` as NAME.<peft key>; the adapter to `folder`."""
    ids = read_ids(path)
    tokenizer = load_tokenizer(path)
    sequences = [golden.sequence_of(r, tokenizer, ids) for r in ROWS]
    model = golden.with_lora(load_model(path, "eager"), golden.TARGETS, 3, 6, rslora)
    golden.fill_by_formula(model, golden.TARGETS, b_scale=0.5)
    save_adapter(model, folder, ("rank_pattern", "alpha_pattern", "peft_version") if rslora else ())
    loss = golden.backward(model, sequences, loss_on, ids["pad"], micro=len(sequences))
    named = list(golden.adapter_tensors(model, golden.TARGETS))
    for key, p in named:
        store[f"{name}.{key}"] = p.grad.contiguous()
    return {"name": name, "model": path.name, "adapter": folder.name,
            "rslora": rslora, "loss_on": loss_on, "loss": golden.short(loss),
            "grad_norm": golden.short(golden.total_norm([p.grad for _, p in named])),
            "n_targets": golden.count_targets(sequences, loss_on)}


def main():
    out = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    tokenizer = train_tokenizer(400)
    plain, llama3 = out / "tiny_llama.gguf", out / "tiny_llama3.gguf"
    write_gguf(plain, tokenizer, name="tiny llama", head_dim=16, base=10000.0, matrix_type="F16", tied=True,
               divisors=None, seed=1)
    write_gguf(llama3, tokenizer, name="tiny llama3", head_dim=32, base=500000.0, matrix_type="Q8_0", tied=False,
               divisors=llama3_divisors(32, 500000.0, 32.0, 1.0, 4.0, 256), seed=2)
    assert [load_tokenizer(plain).encode(s).ids for s in STRINGS] == [tokenizer.encode(s).ids for s in STRINGS]
    golden.write_json(out / "tiny_tokens.json", {"model": plain.name, "cases": [
        {"text": s, "ids": tokenizer.encode(s).ids} for s in STRINGS]})
    logits_golden(plain, out / "tiny_llama_logits.json")
    logits_golden(llama3, out / "tiny_llama3_logits.json")
    store = {}
    cases = [gradient_case(plain, "plain_all", "all", store, out / "tiny_adapter"),
             gradient_case(plain, "plain_answer", "answer", store, out / "tiny_adapter"),
             gradient_case(plain, "rslora_answer", "answer", store, out / "tiny_adapter_rslora", rslora=True),
             gradient_case(llama3, "llama3_all", "all", store, out / "tiny_adapter_llama3")]
    ids = read_ids(plain)
    sequences = [golden.sequence_of(r, load_tokenizer(plain), ids) for r in ROWS]
    golden.write_json(out / "tiny_gradients.json", {
        "rank": 3, "alpha": 6, "targets": golden.TARGETS, "formula": golden.FORMULA, "b_scale": 0.5, "rows": ROWS,
        "sequences": [{"ids": i, "answer": a} for i, a in sequences], "cases": cases}, indent=None)
    save_file(store, out / "tiny_gradients.safetensors", metadata={"format": "pt"})
    (out / "tiny_gradients.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
