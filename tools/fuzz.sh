#!/bin/sh
# This file runs every libFuzzer target of a build folder for some seconds: tools/fuzz.sh BUILD SECONDS.
# New inputs that reach new code are kept in BUILD/corpus/NAME, those that crash in BUILD/crashes.
# Status 1 when a target found something; how to repeat it is printed.
set -u
build=$1 seconds=$2
cd "$(dirname "$0")/.." || exit 1
mkdir -p "$build/crashes"
failed=''
n=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
for target in "$build"/test/fuzz/fuzz_*; do
    [ -f "$target" ] || continue
    name=${target##*/fuzz_}
    corpus=$build/corpus/$name
    log=$build/fuzz-$name.log
    mkdir -p "$corpus"
    n=$((n + 1))
    echo "fuzzing $name for $seconds s"
    if "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -close_fd_mask=2 -print_final_stats=1 \
        -artifact_prefix="$build/crashes/$name-" "$corpus" test/golden/format >"$log" 2>&1; then
        grep -E 'stat::(number_of_executed_units|new_units_added)' "$log" | sed 's/^stat::/  /'
    else
        tail -n 40 "$log"
        failed="$failed $name"
    fi
done
[ $n -gt 0 ] || { echo "$build has no fuzz target" >&2; exit 1; }
if [ -n "$failed" ]; then
    echo "FAILED:$failed"
    echo "to repeat: $build/test/fuzz/fuzz_NAME $build/crashes/NAME-..."
    exit 1
fi
echo "$n targets, nothing found"
