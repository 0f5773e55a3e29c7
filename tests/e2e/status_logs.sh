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
expect_stdout "2/4 shards, 1/4 files, 1 failed, 2 running"
expect_stdout "shard 1: exit code 8"
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
expect_same "… of the failed shard only" "trouble in 1" "$(cat "$E2E_WORK/err")"
expect_same "… nothing on stdout" "" "$(cat "$E2E_WORK/out")"
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
expect_stdout "progress  2/4 shards.* 0 running"
expect_stdout "next      shoal resume /.*/k$"
expect_exit 0 "cancel of a job that nobody runs" "$SHOAL" cancel k
expect_same "… puts its end on record" cancelled "$("$SHOAL" status k --json | json state)"
