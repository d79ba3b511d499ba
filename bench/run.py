#!/usr/bin/env python3
"""This file runs the same work in tallrec and in PEFT, in turn, and prints the ratios. bench/README.md says how to
read them.

    bench/run.py [--quick] [--only train|score] [--rounds N] [--json FILE] [--check]

Fetches the model and the ratings (tools/fetch.py), makes the Python environment of the peers (bench/peers.sh), and
measures. Nothing else should run on the machine meanwhile. Needs only Python's standard library."""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What --check asks for: times PEFT's best training speed, PEFT's memory at micro-batch 16 over ours, times torch's
# best scoring speed.
PROMISED = {"training speed": 2.5, "training memory": 8.0, "scoring speed": 2.0}
# Largest difference of the first step's loss and of any log-probability for the two to have done the same work.
LOSS_TOLERANCE, LOGP_TOLERANCE = 1e-3, 1e-3


class BenchError(Exception):
    """What failed, in words for the person who runs this."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def run(command, log):
    """Runs one process to its end: (standard output, wall seconds, peak resident bytes)."""
    with open(log, "wb") as errors, tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen([str(c) for c in command], stdout=output, stderr=errors, stdin=subprocess.DEVNULL)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode != 0:
        tail = pathlib.Path(log).read_text(errors="replace").strip().splitlines()[-6:]
        raise BenchError(f"status {process.returncode} of: {' '.join(str(c) for c in command)}\n  " + "\n  ".join(tail))
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts kilobytes, but bytes on macOS
    return text, seconds, usage.ru_maxrss * unit


class Bench:
    """Paths, sizes and the folder of this run."""

    def __init__(self, arguments):
        self.threads, self.rounds = arguments.threads, arguments.rounds
        self.n_train, self.n_score = (8, 12) if arguments.quick else (64, arguments.score_rows)
        self.steps = 1 if arguments.quick else arguments.steps
        self.micros = [4] if arguments.quick else [16, 4]
        self.score_micros = [1, 4] if arguments.quick else [1, 4, 16]
        self.program = find_program(arguments.program)
        self.cache = cache_folder() / "bench"
        self.cache.mkdir(parents=True, exist_ok=True)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=self.cache))
        self.model = pathlib.Path(arguments.model or fetch("model"))
        self.python = arguments.python or last_line([ROOT / "bench/peers.sh"])
        self.folder = self.hugging_face_folder()
        self.train_file, self.test_file = self.make_rows(arguments.movielens or fetch("movielens"))

    def log(self, name):
        return self.work / f"{name}.log"

    def hugging_face_folder(self):
        """The float32 model in the form that the peers load; made once for each model file."""
        folder = self.cache / f"{self.model.stem}.hf"
        if not (folder / "complete").exists():
            note(f"writing {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            run([self.python, ROOT / "bench/peer.py", "save", self.model, folder], self.log("save"))
            (folder / "complete").write_text("")
        return folder

    def make_rows(self, movielens):
        """(64 training rows drawn with a fixed seed, folder whose test split is the first rows of the test split)."""
        imported = self.work / "imported"
        run([self.program, "import", "movielens", movielens, "-o", imported, "--protocol", "tallrec"],
            self.log("import"))
        train = read_lines(imported / "train.jsonl")
        chosen = sorted(random.Random(0).sample(range(len(train)), self.n_train))
        train_file = self.work / "shots.jsonl"
        train_file.write_text("".join(train[i] for i in chosen), encoding="utf-8")
        test_file = self.work / "test.jsonl"
        test_file.write_text("".join(read_lines(imported / "test.jsonl")[:self.n_score]), encoding="utf-8")
        return train_file, test_file

    def tallrec_train(self):
        out = self.work / "tuned"
        shutil.rmtree(out, ignore_errors=True)
        _, _, peak = run([self.program, "tune", "--model", self.model, "--train", self.train_file,
                          "--valid", self.train_file, "--shuffle", "none", "--steps", self.steps,
                          "--batch", self.n_train, "--eval-every", 0, "--rank", 8, "--alpha", 16, "--dropout", 0.05,
                          "--targets", "q_proj,v_proj", "--loss-on", "all", "--lr", 1e-4, "--schedule", "constant",
                          "--warmup", 0, "--compute", "f32", "--threads", self.threads, "-o", out], self.log("tune"))
        lines = [json.loads(line) for line in read_lines(out / "metrics.jsonl")]
        steps = [line for line in lines if "grad_norm" in line]
        return {"samples_per_s": self.n_train * len(steps) / sum(s["seconds"] for s in steps),
                "tokens_per_s": sum(s["tokens"] for s in steps) / sum(s["seconds"] for s in steps),
                "peak_bytes": peak, "first_loss": steps[0]["loss"]}

    def peft_train(self, micro):
        text, _, peak = run([self.python, ROOT / "bench/peer.py", "train", self.folder, self.model, self.train_file,
                             "--micro", micro, "--steps", self.steps, "--threads", self.threads],
                            self.log(f"peft-{micro}"))
        found = json.loads(text.strip().splitlines()[-1])
        seconds = sum(found["seconds"])
        return {"samples_per_s": found["rows"] * self.steps / seconds,
                "tokens_per_s": found["tokens"] * self.steps / seconds, "peak_bytes": peak,
                "first_loss": found["losses"][0]}

    def tallrec_score(self):
        """Wall time of the whole process: start-up, reading and tokenising are in it, unlike in torch's."""
        out = self.work / "scores-tallrec.jsonl"
        _, seconds, peak = run([self.program, "score", "--model", self.model, "--data", self.test_file,
                                "--compute", "f32", "--threads", self.threads, "-o", out], self.log("score"))
        return {"rows_per_s": self.n_score / seconds, "peak_bytes": peak, "scores": out}

    def torch_score(self, micro):
        out = self.work / f"scores-torch-{micro}.jsonl"
        text, _, peak = run([self.python, ROOT / "bench/peer.py", "score", self.folder, self.model,
                             self.test_file, "--micro", micro, "--threads", self.threads, "--scores", out],
                            self.log(f"torch-{micro}"))
        found = json.loads(text.strip().splitlines()[-1])
        return {"rows_per_s": found["rows"] / found["seconds"], "peak_bytes": peak, "scores": out}


def cache_folder():
    if os.environ.get("TALLREC_CACHE"):
        return pathlib.Path(os.environ["TALLREC_CACHE"]).absolute()
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tallrec"


def find_program(given):
    for path in [given] if given else [ROOT / "build/tallrec", ROOT / "build/src/cli/tallrec"]:
        if os.access(path, os.X_OK):
            return pathlib.Path(path).absolute()
    raise BenchError(f"{given or 'build/tallrec'}: no such program; run `make` first or give --program")


def last_line(command):
    """The last line that a helper prints; its progress goes to the terminal."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0 or not done.stdout.strip():
        raise BenchError(f"failed: {' '.join(str(c) for c in command)}")
    return done.stdout.strip().splitlines()[-1]


def fetch(what):
    return last_line([sys.executable, ROOT / "tools/fetch.py", what])


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [line for line in file if line.strip()]


def take_turns(bench, what, ours, theirs):
    """{name: [one result a round]}; each round runs tallrec and every peer once."""
    results = {}
    for number in range(bench.rounds):
        for name, call in [("tallrec", ours)] + theirs:
            note(f"{what}, round {number + 1} of {bench.rounds}: {name}")
            results.setdefault(name, []).append(call())
    return results


def median(results, name, key):
    return statistics.median(r[key] for r in results[name])


def ratios(results, key, peers):
    """tallrec over the fastest peer, for each round."""
    return [ours[key] / max(results[p][i][key] for p in peers) for i, ours in enumerate(results["tallrec"])]


def measure_training(bench):
    peers = [(f"PEFT, micro-batch {m}", lambda m=m: bench.peft_train(m)) for m in bench.micros]
    results = take_turns(bench, "training", bench.tallrec_train, peers)
    names = [name for name, _ in peers]
    losses = [r["first_loss"] for many in results.values() for r in many]
    table = [["training", "samples/s", "tokens/s", "peak memory", "first loss"]]
    for name in results:
        table.append([name, f"{median(results, name, 'samples_per_s'):.2f}",
                      f"{median(results, name, 'tokens_per_s'):.0f}",
                      f"{median(results, name, 'peak_bytes') / 1e6:.0f} MB", f"{results[name][0]['first_loss']:.5f}"])
    return table, {
        "rows": bench.n_train, "steps": bench.steps, "micro_batches": bench.micros, "rounds": results,
        "ratios": {"training speed": ratios(results, "samples_per_s", names),
                   "training memory": [theirs["peak_bytes"] / ours["peak_bytes"]
                                       for ours, theirs in zip(results["tallrec"], results[names[0]])]},
        "largest_loss_difference": max(losses) - min(losses),
        "same_work": max(losses) - min(losses) <= LOSS_TOLERANCE}


def score_difference(ours, theirs):
    """Largest difference of a log-probability between two score files; infinite when they do not match."""
    table = [{line["row"]: line for line in map(json.loads, read_lines(path))} for path in (ours, theirs)]
    if table[0].keys() != table[1].keys():
        return float("inf")
    worst = 0.0
    for row, line in table[0].items():
        for key in ("logp_yes", "logp_no"):
            difference = abs(line[key] - table[1][row][key])
            worst = max(worst, difference) if difference == difference else float("inf")
    return worst


def measure_scoring(bench):
    peers = [("torch, one at a time" if m == 1 else f"torch, batches of {m}", lambda m=m: bench.torch_score(m))
             for m in bench.score_micros]
    results = take_turns(bench, "scoring", bench.tallrec_score, peers)
    ours = results["tallrec"][0]["scores"]
    difference = max(score_difference(ours, results[name][0]["scores"]) for name, _ in peers)
    table = [["scoring", "rows/s", "peak memory"]]
    for name, many in results.items():
        table.append([name, f"{median(results, name, 'rows_per_s'):.2f}",
                      f"{median(results, name, 'peak_bytes') / 1e6:.0f} MB"])
        for result in many:
            del result["scores"]
    return table, {"rows": bench.n_score, "rounds": results,
                   "ratios": {"scoring speed": ratios(results, "rows_per_s", [name for name, _ in peers])},
                   "largest_logp_difference": difference if difference < float("inf") else None,
                   "same_work": difference <= LOGP_TOLERANCE}


def print_table(table):
    widths = [max(len(row[c]) for row in table) for c in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(w) if c == 0 else cell.rjust(w) for c, (cell, w) in enumerate(zip(row, widths))))


def print_ratios(report):
    largest = max(report.get("micro_batches", [0]))
    explain = {"training speed": "samples/s, tallrec over PEFT's best",
               "training memory": f"peak memory, PEFT at micro-batch {largest} over tallrec",
               "scoring speed": "rows/s, tallrec over torch's best"}
    for name, values in report["ratios"].items():
        spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
        print(f"{explain[name]}: {statistics.median(values):.2f}{spread}")
    print("the two did the same work" if report["same_work"]
          else "THE TWO DID NOT DO THE SAME WORK: ratios mean nothing")
    print()


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return sys.platform


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measure tallrec against PEFT and torch, in turn.")
    parser.add_argument("--quick", action="store_true", help="a small smoke run (minutes); its ratios prove nothing")
    parser.add_argument("--only", choices=["train", "score"], help="one of the two parts")
    parser.add_argument("--rounds", type=int, help="times that each contestant runs (default 2, with --quick 1)")
    parser.add_argument("--steps", type=int, default=2, help="training steps a round (default %(default)s)")
    parser.add_argument("--score-rows", type=int, default=100, help="test rows to score (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="for both (default %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all numbers here")
    parser.add_argument("--check", action="store_true", help="exit 1 unless the promised ratios are reached")
    parser.add_argument("--keep", action="store_true", help="keep the folder of logs and outputs")
    parser.add_argument("--program", help="tallrec's program (default: the one below build/)")
    parser.add_argument("--model", help="GGUF file (default: fetched)")
    parser.add_argument("--movielens", help="folder of ratings (default: fetched)")
    parser.add_argument("--python", help="python of an environment with the peers (default: made by bench/peers.sh)")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 2)
    return arguments


def main():
    arguments = parse_arguments()
    bench = None
    try:
        bench = Bench(arguments)
        report = {"cpu": cpu_name(), "threads": bench.threads, "quick": arguments.quick, "parts": {}}
        for name, measure in (("train", measure_training), ("score", measure_scoring)):
            if arguments.only in (None, name):
                table, report["parts"][name] = measure(bench)
                print_table(table)
                print_ratios(report["parts"][name])
    except (BenchError, OSError) as error:
        note(f"bench: {error}" + (f"\nlogs: {bench.work}" if bench else ""))
        return 1
    except KeyboardInterrupt:
        note("bench: stopped")
        return 130
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if not arguments.keep:
        shutil.rmtree(bench.work, ignore_errors=True)
    reached = all(part["same_work"] and all(statistics.median(values) >= PROMISED[name]
                                            for name, values in part["ratios"].items())
                  for part in report["parts"].values())
    return 0 if reached or not arguments.check else 1


if __name__ == "__main__":
    sys.exit(main())
