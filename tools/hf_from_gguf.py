#!/usr/bin/env python3
"""This file turns a GGUF model of architecture `llama` into Hugging Face objects: a float32 LlamaForCausalLM with
the dequantised weights, and the tokenizer. It is the reference side of every comparison with transformers and PEFT;
tallrec itself never uses it.

    from hf_from_gguf import load_model, load_tokenizer
    model = load_model("M.gguf")            # eval mode, float32
    tokenizer = load_tokenizer("M.gguf")    # a `tokenizers.Tokenizer`; eos id: read_ids("M.gguf")["eos"]

    python tools/hf_from_gguf.py M.gguf --prompt "The capital of France is"      # greedy continuation
    python tools/hf_from_gguf.py M.gguf --save FOLDER                            # a folder for from_pretrained

Needs: torch, transformers, tokenizers, gguf, numpy.
"""
import argparse
import json
import pathlib

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

GGUF_OF_HF = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")


class Gguf:
    """Metadata and dequantised tensors by name."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(str(path))
        self.tensors = {t.name: t for t in self.reader.tensors}

    def get(self, key, default=None):
        field = self.reader.fields.get(key)
        return default if field is None else field.contents()

    def tensor(self, name):
        t = self.tensors[name]
        data = gguf.quants.dequantize(t.data, t.tensor_type)
        shape = [int(d) for d in reversed(t.shape)]  # GGUF writes the fastest axis first
        return torch.from_numpy(np.array(data, dtype=np.float32, copy=True).reshape(shape))


def unpermute(weight, n_head):
    """Rows of attn_q/attn_k from llama.cpp's interleaved rotary pairs back to Hugging Face's half-split order."""
    rows, columns = weight.shape
    return weight.reshape(n_head, rows // n_head // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns).contiguous()


def config_of(file):
    heads = file.get("llama.attention.head_count")
    width = file.get("llama.embedding_length")
    ids = token_ids(file)
    return LlamaConfig(
        vocab_size=len(file.get("tokenizer.ggml.tokens")), hidden_size=width,
        intermediate_size=file.get("llama.feed_forward_length"), num_hidden_layers=file.get("llama.block_count"),
        num_attention_heads=heads, num_key_value_heads=file.get("llama.attention.head_count_kv", heads),
        head_dim=file.get("llama.attention.key_length", width // heads),
        max_position_embeddings=file.get("llama.context_length"),
        rms_norm_eps=file.get("llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": file.get("llama.rope.freq_base", 10000.0)},
        tie_word_embeddings="output.weight" not in file.tensors,
        bos_token_id=ids["bos"], eos_token_id=ids["eos"], pad_token_id=ids["pad"])


def load_model(path, attention="sdpa"):
    """float32 LlamaForCausalLM in eval mode, weights frozen."""
    file = Gguf(path)
    if file.get("general.architecture") != "llama":
        raise SystemExit(f"{path}: architecture {file.get('general.architecture')!r}; only 'llama' is handled here")
    if file.get("llama.rope.scaling.type", "none") not in ("none", ""):
        raise SystemExit(f"{path}: rope scaling by metadata is not handled here")
    config = config_of(file)
    weights = {"model.embed_tokens.weight": file.tensor("token_embd.weight"),
               "model.norm.weight": file.tensor("output_norm.weight")}
    for layer in range(config.num_hidden_layers):
        for hf, ours in GGUF_OF_HF.items():
            w = file.tensor(f"blk.{layer}.{ours}.weight")
            if ours == "attn_q":
                w = unpermute(w, config.num_attention_heads)
            if ours == "attn_k":
                w = unpermute(w, config.num_key_value_heads)
            weights[f"model.layers.{layer}.{hf}.weight"] = w
    weights["lm_head.weight"] = (weights["model.embed_tokens.weight"] if config.tie_word_embeddings
                                 else file.tensor("output.weight"))
    model = LlamaForCausalLM._from_config(config, attn_implementation=attention, dtype=torch.float32)
    model.load_state_dict(weights, strict=True)
    if config.tie_word_embeddings:
        model.tie_weights()
    if "rope_freqs.weight" in file.tensors:  # llama3 scaling comes as a tensor of divisors
        model.model.rotary_emb.inv_freq /= file.tensor("rope_freqs.weight")
    model.requires_grad_(False)
    return model.eval()


def token_ids(file):
    def get(name):
        return file.get(f"tokenizer.ggml.{name}_token_id")
    return {"bos": get("bos"), "eos": get("eos"), "pad": get("padding"), "unknown": get("unknown"),
            "adds_bos": bool(file.get("tokenizer.ggml.add_bos_token", False))}


def read_ids(path):
    """Ids of the special tokens: bos, eos, pad, unknown (None when the file has none), adds_bos."""
    return token_ids(Gguf(path))


def pre_tokenizer_of(name):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name == "smollm":
        return None, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    if name in ("gpt-2", "gpt2"):
        return None, byte_level
    split = {"llama-bpe": LLAMA3_SPLIT, "llama3": LLAMA3_SPLIT, "qwen2": QWEN2_SPLIT}.get(name)
    if split is None:
        raise SystemExit(f"pre-tokenizer {name!r} is not handled here")
    return (normalizers.NFC() if name == "qwen2" else None), pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def load_tokenizer(path):
    """The byte-level BPE of the file as a `tokenizers.Tokenizer`; adds no bos or eos of its own."""
    file = Gguf(path)
    if file.get("tokenizer.ggml.model") != "gpt2":
        raise SystemExit(f"{path}: tokenizer {file.get('tokenizer.ggml.model')!r}; only byte-level BPE is handled here")
    tokens = file.get("tokenizer.ggml.tokens")
    kinds = file.get("tokenizer.ggml.token_type")
    pre = file.get("tokenizer.ggml.pre")
    merges = [tuple(m.split(" ")) for m in file.get("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges,
                                     ignore_merges=pre in ("llama-bpe", "llama3")))
    normalizer, pre_tokenizer = pre_tokenizer_of(pre)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    control, user_defined = 3, 4
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False)
                                  for t, k in zip(tokens, kinds) if k == control])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False)
                          for t, k in zip(tokens, kinds) if k == user_defined])
    return tokenizer


def save(path, folder):
    """Model and tokenizer as a folder that AutoModelForCausalLM and AutoTokenizer open."""
    if "rope_freqs.weight" in Gguf(path).tensors:
        raise SystemExit("a model with rope_freqs.weight cannot be saved: config.json has no place for the divisors")
    model, file = load_model(path), Gguf(path)
    model.save_pretrained(folder)
    tokens, ids = file.get("tokenizer.ggml.tokens"), token_ids(file)
    names = {f"{k}_token": tokens[ids[k]] for k in ("bos", "eos", "pad") if ids[k] is not None}
    PreTrainedTokenizerFast(tokenizer_object=load_tokenizer(path), **names).save_pretrained(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--prompt", default="The capital of France is")
    parser.add_argument("--new", type=int, default=24, help="tokens to generate")
    parser.add_argument("--save", type=pathlib.Path, help="write the Hugging Face folder here instead")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.save:
        save(arguments.model, arguments.save)
        return
    model, tokenizer = load_model(arguments.model), load_tokenizer(arguments.model)
    ids = tokenizer.encode(arguments.prompt).ids
    eos = read_ids(arguments.model)["eos"]
    with torch.inference_mode():
        for _ in range(arguments.new):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == eos:
                break
    print(json.dumps({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
