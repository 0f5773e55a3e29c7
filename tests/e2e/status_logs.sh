#!/bin/bash
# shoal status, logs (also while a job runs), cancel, report.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 4
mkdir host
host=(--runtime process -e "HOST=$PWD/host")

# Shards 0 and 1 end at once (1 fails), 2 and 3 wait for host/gate.
start () { # RESULT
  rm -f host/*
  "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --jobs 2 --retries 0 --results "$1" "${host[@]}" any sh -c '
    echo "hello from $SHOAL_SHARD_INDEX"; echo "trouble in $SHOAL_SHARD_INDEX" >&2; cp /in/* /out
    case $SHOAL_SHARD_INDEX in 0) exit 0;; 1) exit 8;; esac
    touch "$HOST/$SHOAL_SHARD_INDEX"
    until [ -e "$HOST/gate" ]; do sleep 0.02; done; echo "bye from $SHOAL_SHARD_INDEX"' >/dev/null 2>run.err &
  run=$!
  wait_for "shards 2 and 3 to run" test -e host/2 -a -e host/3
}

start r
expect_exit 0 "status while it runs" "$SHOAL" status r
expect_stdout "is running \(process $run\)"
expect_stdout "1/4 shards, 1/4 files, 1 failed, 2 running"
expect_stdout "shard 1: exit code 8"
expect_stdout "stderr of shard 1: trouble in 1$"
expect_exit 0 "status --json" "$SHOAL" status r.partial --json
expect_same "… counts" "1 1 2" "$(python3 -c 'import json,sys; s=json.load(sys.stdin); print(s["succeeded"], s["failed"], s["running"])' <"$E2E_WORK/out")"
expect_exit 0 "status --shards" "$SHOAL" status --shards r/
expect_same "… a line for each" "0 succeeded|1 failed|2 running|3 running" \
  "$(tail -n +2 "$E2E_WORK/out" | cut -f1,2 | tr '\t' ' ' | paste -sd '|')"
expect_exit 0 "logs of a running shard" "$SHOAL" logs r --shard 2 --stdout
expect_same "… what it said so far" "hello from 2" "$(cat "$E2E_WORK/out")"
"$SHOAL" logs r --follow --stdout -q >follow.out 2>follow.err &
follow=$!
wait_for "the follower to see what is there" grep -q "hello from 3" follow.out
expect_true "… and what was there before" grep -q "hello from 0" follow.out
expect_exit 2 "retry of a job that hasn't ended" "$SHOAL" retry r
expect_stderr "in use by process $run"
touch host/gate
expect_end 1 "the run ends" $run
expect_end 0 "logs --follow ends with it" $follow
expect_true "… and saw all" grep -q "bye from 3" follow.out

expect_exit 0 "logs" "$SHOAL" logs r
expect_stdout "==> shard 3, stdout <=="
expect_stdout "bye from 3"
expect_stderr "trouble in 0"
expect_exit 0 "logs --failed --stderr" "$SHOAL" logs r --failed --stderr -q
expect_same "… of the failed shard only, on stdout" "trouble in 1" "$(cat "$E2E_WORK/out")"
expect_same "… nothing on stderr" "" "$(cat "$E2E_WORK/err")"
expect_exit 0 "logs --failed" "$SHOAL" logs r --failed --stdout
expect_same "… begins with how it failed" "==> shard 1: exit code 8 (failed, 1 attempt) <==" "$(head -1 "$E2E_WORK/out")"
"$SHOAL" logs r >plain.out 2>/dev/null
expect_exit 0 "logs -f of a job that has ended" "$SHOAL" logs r -f
expect_same "… prints what logs does" "$(cat plain.out)" "$(cat "$E2E_WORK/out")"
expect_exit 0 "logs -f --failed of a job that has ended" "$SHOAL" logs r -f --failed --stderr
expect_same "… prints the failed shard" "==> shard 1: exit code 8 (failed, 1 attempt) <==|==> shard 1, stderr <==|trouble in 1" \
  "$(paste -sd '|' "$E2E_WORK/out")"
expect_exit 0 "logs of several shards" "$SHOAL" logs r --shard 0,2-3 --stdout -q
expect_same "… in order" "hello from 0|hello from 2|bye from 2|hello from 3|bye from 3" "$(paste -sd '|' "$E2E_WORK/out")"
expect_exit 2 "logs of a shard that isn't there" "$SHOAL" logs r --shard 9
expect_stderr "no shard 9"

expect_exit 0 "report" "$SHOAL" report r
expect_stdout "timeline"
expect_stdout "slowest"
expect_stdout "shard 1: exit code 8"
expect_exit 0 "report -o" "$SHOAL" report r -o report.html
expect_true "… is the result's" cmp report.html r.partial/report.html
expect_true "… and needs no network" sh -c '! grep -iE "(src|href)=.?(https?:)?//" report.html'

start c
expect_exit 0 "cancel of a running job" "$SHOAL" cancel c --reason 'wrong folder'
expect_stderr "job .* cancelled"
expect_end 1 "… ends the run with 1" $run
expect_true "… which says why" grep -q "cancelled.*wrong folder" run.err
expect_exit 0 "status says so as well" "$SHOAL" status c
expect_stdout "cancelled.*wrong folder"
expect_exit 2 "cancel of an ended job" "$SHOAL" cancel c
expect_stderr "has already ended: cancelled"
touch host/gate
expect_exit 1 "retry runs what is missing" "$SHOAL" retry c
expect_stderr "3 of 4 succeeded, 1 failed"

start k
kill -9 $run
wait $run 2>/dev/null || true
wait_for "its parts to be gone" sh -c '! pgrep -f "[-]-parent=$1( |$)" >/dev/null' - $run
expect_exit 0 "status of a run that was killed" "$SHOAL" status k
expect_stdout "is unfinished and not running"
expect_stdout "progress  1/4 shards.* 0 running$"
expect_same "… has no time left" "False" "$("$SHOAL" status k --json | python3 -c 'import json, sys; print("left_ms" in json.load(sys.stdin))')"
expect_stdout "next      shoal resume /.*/k$"
expect_exit 0 "cancel of a job that nobody runs" "$SHOAL" cancel k
expect_same "… puts its end on record" cancelled "$("$SHOAL" status k --json | json state)"

# Lines without an end, a shard without output, one shard, an option for errors only.
expect_exit 1 "run of shards that print no whole line" "$SHOAL" run -v in:/in --glob '*.txt' -j 1 --retries 0 --results m "${host[@]}" any sh -c '
  case $SHOAL_SHARD_INDEX in 0) printf one;; 1) exit 3;; 2) printf two; printf three >&2;; esac'
expect_exit 0 "its logs, both streams in one file" sh -c '"$1" logs m 2>&1' - "$SHOAL"
expect_same "… headings have a line of their own" "==> shard 0, stdout <==|one|==> shard 2, stdout <==|two|==> shard 2, stderr <==|three" \
  "$(paste -sd '|' "$E2E_WORK/out")"
expect_exit 0 "logs --failed of a shard that printed nothing" "$SHOAL" logs m --failed
expect_same "… says how it failed" "==> shard 1: exit code 3 (failed, 1 attempt) <==" "$(cat "$E2E_WORK/out")"
expect_exit 1 "run -q that fails" "$SHOAL" run -q -v in:/in --glob 'f001.txt' --retries 0 --results q "${host[@]}" any sh -c 'echo "no such lens" >&2; exit 9'
expect_stderr "shard 0: exit code 9"
expect_stderr "stderr of shard 0: no such lens$"
expect_stderr "0 of 1 succeeded, 1 failed"
expect_exit 1 "run -q of a job that has failed" "$SHOAL" run -q -v in:/in --glob 'f001.txt' --retries 0 --results q "${host[@]}" any sh -c 'echo "no such lens" >&2; exit 9'
expect_stderr "shard 0: exit code 9"
expect_exit 1 "run of one shard" "$SHOAL" run -v in:/in --glob 'f001.txt' --retries 0 --results one "${host[@]}" any sh -c 'sleep 2.2; exit 9'
expect_stderr "0/1 shard, 0/1 file, 1 running$"
expect_stderr "0/1 shard, 0/1 file, 1 failed, 0 running, last failure"
expect_true "… no time is left" sh -c '! grep -q left "$1"' - "$E2E_WORK/err"

# What lies between a run and its retry isn't work.
expect_exit 1 "run for a retry" "$SHOAL" run -v in:/in --glob '*.txt' --retries 0 --results n "${host[@]}" any sh -c 'test $SHOAL_SHARD_INDEX != 1 -o -e "$HOST/mended"'
sleep 4 # the pause itself
touch host/mended
expect_exit 0 "retry later" "$SHOAL" retry n
expect_stderr "succeeded in ([0-9]+ms|[0-3]\.[0-9]s)$"
expect_exit 0 "its report" "$SHOAL" report n
expect_stdout "^            ([0-9]+ms|[0-3]\.[0-9]s), "
