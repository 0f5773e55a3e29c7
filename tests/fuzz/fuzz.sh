#!/bin/bash
# Runs every libFuzzer program of a build for a while, from its corpus: fuzz.sh BUILD_FOLDER [SECONDS_EACH]
# What it finds is kept in BUILD_FOLDER/findings. SHOAL_SEED repeats a run.
set -euo pipefail
build=$(realpath "$1")
seconds=${2:-5}
seed=${SHOAL_SEED:-$RANDOM}
corpora=$(dirname "$(realpath "$0")")/corpus
failed=0
ran=0
mkdir -p "$build/findings"
for program in "$build"/tests/fuzz/fuzz_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  name=$(basename "$program")
  name=${name#fuzz_}
  work=$(mktemp -d)
  folders=("$work")
  [ -d "$corpora/$name" ] && folders+=("$corpora/$name")
  log=$build/findings/$name.log
  if "$program" -seed="$seed" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$build/findings/$name-" "${folders[@]}" >"$log" 2>&1; then
    echo "fuzz.$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, seed $seed"
  else
    echo "fuzz.$name: FAILED, seed $seed, see $log"
    tail -n 40 "$log"
    failed=$((failed + 1))
  fi
  rm -rf "$work"
  ran=$((ran + 1))
done
if [ "$ran" -eq 0 ]; then
  echo "fuzz.sh: $build: no fuzzers there" >&2
  exit 1
fi
[ "$failed" -eq 0 ]
