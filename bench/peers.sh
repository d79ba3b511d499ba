#!/bin/sh
# This file makes the throw-away Python environment of the benchmark and of tools/check_peers.py: torch, transformers,
# PEFT, gguf. It goes to the folder given, or CACHE/bench/venv (CACHE: $TALLREC_CACHE, $XDG_CACHE_HOME/tallrec or
# ~/.cache/tallrec); remove the folder to be rid of it. The path of its python is printed on standard output.
#
#   bench/peers.sh [FOLDER]
#
# The packages come through pip with its own configuration. torch's default build for Linux brings CUDA libraries along
# (some gigabytes); give pip an index with the build for CPUs only (PIP_EXTRA_INDEX_URL) to be spared them.
set -eu

cache=${TALLREC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tallrec}
venv=${1:-$cache/bench/venv}
packages='torch transformers peft gguf tokenizers safetensors numpy'
python=$venv/bin/python

if [ ! -e "$venv/complete" ] || [ "$(cat "$venv/complete")" != "$packages" ]; then
    echo "making $venv: $packages (a few minutes)" >&2
    if ! python3 -m venv "$venv" >&2; then
        echo "python3 cannot make environments; on Debian: sudo apt-get install python3-venv" >&2
        exit 1
    fi
    # shellcheck disable=SC2086  # a list of words
    "$python" -m pip install --disable-pip-version-check --progress-bar off --prefer-binary $packages >&2
    "$python" -c 'import torch, transformers, peft, gguf' >&2
    echo "$packages" >"$venv/complete"
fi
echo "$python"
