#!/bin/bash
# `retry` with other variables, killed at each of its writes to the job's bus: what is opened again has them, or nothing is.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 4
mkdir saved
expect_exit 1 "a job whose variable is wrong" "$SHOAL" run -j 1 --retries 0 --runtime process -v in:/in -o out:/out --glob '*.txt' --batch-size 2 -e HOW=old \
  --results job any sh -c 'for f in $(ls in); do echo "$HOW" >out/$f; done; [ "$HOW" = new ]'
cp -a job.partial saved/
state () { "$SHOAL" status --json job | json state; }
# A tracer is in the leak detector's way.
killed_at () { # NTH OPTION…
  local nth=$1
  shift
  ASAN_OPTIONS=detect_leaks=0 strace -qq -o trace -e trace=pwrite64 -e "inject=pwrite64:signal=SIGKILL:when=$nth" \
    "$SHOAL" retry job -j 1 --progress none "$@" >retry.out 2>&1
}
shards_of () { cat job*/outputs/out/* 2>/dev/null | sort | uniq -c | xargs; }

for way in "" --split=each; do
  opened=0
  ended=0
  wrong=0
  # Once it is open, a few more: what follows is a run like others.
  for ((nth = 1; nth < 200 && opened < 4; nth++)); do
    rm -rf job job.partial
    cp -a saved/job.partial .
    (killed_at $nth -e HOW=new $way) 2>/dev/null || true
    if [ "$(state)" = failed ]; then
      ended=$((ended + 1))
    else
      opened=$((opened + 1))
      "$SHOAL" resume -j 1 -q job >resume.out 2>&1 || { wrong=$((wrong + 1)); cat resume.out; }
    fi
  done
  expect_true "retry $way is killed before it opens the job ($ended times)" test $ended -gt 0
  expect_true "… and after that ($opened times)" test $opened -gt 0
  expect_same "… and ended" "4 new" "$(shards_of)"
  expect_same "… each time with the new variable" 0 $wrong
done
