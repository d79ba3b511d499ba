#!/bin/sh
# This file is the demo, `make demo`: a real language model becomes a movie recommender. Each step is printed as the
# command that it is. What is fetched stays in the cache; the folder demo/ is made anew.
set -eu
cd "$(dirname "$0")/.."
tallrec=${TALLREC_BIN:-build/tallrec}
python=${PYTHON:-python3}

# step TITLE COMMAND...: shows both, runs the command.
step() {
    printf '\n%s\n$' "$1"
    shift
    printf ' %s' "$@"
    printf '\n'
    "$@"
}

step 'The language model (135 million parameters) and the ratings (100,000 by 943 people)' \
    "$python" tools/fetch.py all
model=$("$python" tools/fetch.py model)
ratings=$("$python" tools/fetch.py movielens)

rm -rf demo
mkdir demo
step 'Ratings become questions: will this person like this movie?' \
    "$tallrec" import movielens "$ratings" -o demo/data
step 'Tune on 64 of them' \
    "$tallrec" tune --model "$model" --data demo/data --shots 64 --seed 1 --recipe quick -o demo/run
step 'Evaluate on the 1,000 questions held back, beside what can be said without a model' \
    "$tallrec" eval --model "$model" --adapter demo/run/adapter --data demo/data --split test \
    --report demo/run/report.html
user=$("$python" -c 'import json; print(json.loads(open("demo/data/test.jsonl", encoding="utf-8").readline())["user"])')
step "Ten movies for person $user" \
    "$tallrec" rank --model "$model" --adapter demo/run/adapter --data demo/data --user "$user" -k 10

printf '\nThe report is demo/run/report.html; make demo again runs all but the downloads anew.\n'
