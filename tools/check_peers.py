#!/usr/bin/env python3
"""This file asks Hugging Face PEFT whether it agrees with tallrec: it loads the adapter folder that `tallrec tune`
wrote, scores the first rows of a data file and compares with what `tallrec score` wrote.

    tallrec score --model M.gguf --adapter RUN/adapter --data DATA --split test -o scores.jsonl
    python tools/check_peers.py --model M.gguf --adapter RUN/adapter --data DATA/test.jsonl --scores scores.jsonl

Leave out --adapter for the base model. --data is the JSON array or JSON Lines that was scored (instruction, input);
a line of --scores has row (0-based, in file order), logp_yes, logp_no.

Exit status 0 when every log-probability agrees within --tolerance and PEFT found every tensor that it expects and
nothing else, 1 otherwise, 2 for bad usage. Needs: torch, transformers, peft, gguf.
"""
import argparse
import json
import math
import pathlib
import sys
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file

import golden
from hf_from_gguf import load_model, load_tokenizer, read_ids


def load_adapter(model, folder):
    """(model with the adapter, list of complaints). PEFT itself only warns about keys that do not fit, and a tensor
    that it skips leaves a no-op behind; so its state is compared with the file, tensor by tensor."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wrapped = PeftModel.from_pretrained(model, folder).eval()
    complaints = [f"PEFT warns: {w.message}" for w in caught if "adapter keys" in str(w.message)]
    file, state = load_file(pathlib.Path(folder) / "adapter_model.safetensors"), get_peft_model_state_dict(wrapped)
    complaints += [f"missing from the file: {key}" for key in sorted(state.keys() - file.keys())]
    complaints += [f"unexpected in the file: {key}" for key in sorted(file.keys() - state.keys())]
    complaints += [f"not taken over: {key}" for key in sorted(state.keys() & file.keys())
                   if not torch.equal(state[key].float(), file[key].float())]
    if not any("lora_B" in key and bool(value.any()) for key, value in file.items()):
        complaints.append("every lora_B is zero: the adapter does nothing")
    return wrapped, complaints


def log_probabilities(model, tokenizer, ids, row):
    """log P of the first tokens of "Yes." and "No." after the prompt."""
    prompt = tokenizer.encode(golden.prompt_of(row["instruction"], row["input"]), add_special_tokens=False).ids
    if ids["adds_bos"]:
        prompt = [ids["bos"]] + prompt
    with torch.inference_mode():
        logp = model(input_ids=torch.tensor([prompt]), use_cache=False).logits[0, -1].double().log_softmax(-1)
    return tuple(float(logp[tokenizer.encode(answer).ids[0]]) for answer in ("Yes.", "No."))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--data", required=True)
    parser.add_argument("--scores", required=True)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    model, complaints = load_model(arguments.model), []
    if arguments.adapter:
        model, complaints = load_adapter(model, arguments.adapter)
    for complaint in complaints:
        print(complaint)
    print(f"adapter: {'none' if not arguments.adapter else 'loads in PEFT' if not complaints else 'DOES NOT FIT'}")

    tokenizer, ids = load_tokenizer(arguments.model), read_ids(arguments.model)
    rows, scores = golden.read_rows(arguments.data), golden.read_rows(arguments.scores)[:arguments.rows]
    if not scores:
        print("no rows were scored")
        return 1
    worst = {"logp_yes": (0.0, None), "logp_no": (0.0, None), "score": (0.0, None)}
    for score in scores:
        yes, no = log_probabilities(model, tokenizer, ids, rows[score["row"]])
        theirs = {"logp_yes": yes, "logp_no": no, "score": yes - no}
        ours = {"logp_yes": score["logp_yes"], "logp_no": score["logp_no"],
                "score": score.get("score", score["logp_yes"] - score["logp_no"])}
        for key in worst:
            difference = abs(ours[key] - theirs[key])
            difference = math.inf if math.isnan(difference) else difference  # a NaN must not pass
            if difference > worst[key][0]:
                worst[key] = (difference, score["row"])
    for key, (difference, row) in worst.items():
        print(f"{key:9} largest difference {difference:.2e}" + (f" (row {row})" if row is not None else ""))
    agrees = all(worst[key][0] <= arguments.tolerance for key in ("logp_yes", "logp_no"))
    print(f"{len(scores)} rows {'agree' if agrees else 'DISAGREE'} within {arguments.tolerance:g}")
    print(json.dumps({"rows": len(scores), "agree": agrees, "adapter_fits": not complaints,
                      **{key: difference if math.isfinite(difference) else None
                         for key, (difference, _) in worst.items()}}))
    return 0 if agrees and not complaints else 1


if __name__ == "__main__":
    sys.exit(main())
