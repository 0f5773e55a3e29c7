#!/bin/bash
# What one job may take: bytes and files of output, time for staging and collecting, and what a limit of the shell's does.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 2

job () { "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --retries 0 --backoff 20ms "$@"; }

# ---- ulimit -f: an error, not a signal
(ulimit -f 4096 && job --results big --log-limit 64m busybox sh -c 'head -c 8000000 /dev/zero') >"$E2E_WORK/out" 2>"$E2E_WORK/err" || true
expect_stderr "File too large"
expect_true "no part was killed" sh -c "! grep -q 'signal 25' '$E2E_WORK/err'"
(ulimit -f 4096 && job --results sig busybox grep SigIgn /proc/self/status) >"$E2E_WORK/out" 2>"$E2E_WORK/err" || true
expect_true "a container has the default" test $((0x$(sed -n 's/^SigIgn:[[:space:]]*//p' sig/stdout | head -1) & 1 << 24)) -eq 0

# ---- what outputs may be
expect_exit 1 "too many bytes of output fail a shard" job --results mb --max-output-bytes 1k busybox sh -c 'echo printed; head -c 2000 /dev/zero >/out/x'
expect_stderr "outputs of 2\.0 KiB, more than the 1\.0 KiB allowed \(--max-output-bytes\)"
expect_same "… what it printed is kept" printed "$(cat mb.partial/shards/00000/stdout)"
expect_same "… its outputs aren't" "" "$(ls mb.partial/shards/00000/outputs/res)"
expect_exit 0 "as many as are allowed don't" job --results mb2 --max-output-bytes 2k busybox sh -c 'head -c 2048 /dev/zero >/out/$SHOAL_SHARD_INDEX'
expect_exit 1 "too many files" job --results mf --max-output-files 2 busybox sh -c 'touch /out/a /out/b /out/c'
expect_stderr "3 files of output, more than the 2 allowed \(--max-output-files\)"
SECONDS=0
expect_exit 1 "a command that fills its outputs is ended" job --results mr --max-output-bytes 1m busybox sh -c 'head -c 9000000 /dev/zero >/out/x; sleep 100'
expect_stderr "--max-output-bytes"
expect_true "… soon" test $SECONDS -lt 20
HOLE='truncate -s 4398046511104 /out/hole'
SECONDS=0
expect_exit 1 "a hole of 4 TiB ends with the time for collecting" job --results ch --collect-timeout 1s busybox sh -c "$HOLE"
expect_stderr "collecting the outputs exceeded its time limit of 1\.0s \(--collect-timeout\)"
expect_true "… soon" test $SECONDS -lt 20
expect_exit 2 "a limit is checked" job --results x --max-output-files 0 busybox true
expect_stderr "--max-output-files"
expect_exit 2 "another limit is another job" job --results mb2 --max-output-bytes 3k busybox sh -c 'head -c 2048 /dev/zero >/out/$SHOAL_SHARD_INDEX'
expect_stderr "--max-output-bytes differs"

# ---- a server that gives a byte now and then
peer http_peer.py "$PWD/peer.log"
slow () { # RESULT OPTION…
  "$SHOAL" run -v "http://127.0.0.1:$port/slow?size=100000&trickle=0.05:/in" -o res:/out --glob '*' --retries 0 --results "$@" busybox true
}
SECONDS=0
expect_exit 1 "a server that gives a byte now and then ends with the time for staging" slow ss --stage-timeout 2s
expect_stderr "staging the inputs exceeded its time limit of 2\.0s \(--stage-timeout\)"
expect_true "… soon" test $SECONDS -lt 20

# ---- a cancel doesn't wait for it
cancelled_soon () { # WHAT RESULT PID
  local before=$EPOCHREALTIME
  "$SHOAL" cancel "$2" >/dev/null 2>&1
  expect_end 1 "$1: a cancelled run ends" "$3"
  local took=$((${EPOCHREALTIME/./} - ${before/./}))
  expect_true "… within five seconds ($((took / 1000)) ms)" test $took -lt 5000000
}
slow cs 2>/dev/null &
pid=$!
wait_for "the file to come" eval '[ "$(grep -c "GET /slow" peer.log)" -ge 4 ]'
cancelled_soon "staging" cs $pid
job --results cc busybox sh -c "$HOLE" 2>/dev/null &
pid=$!
wait_for "the command's end" eval '[ -n "$(find cc.partial cc -path "*/.shoal/tmp/*/outputs/res/hole" 2>/dev/null)" ]'
cancelled_soon "collecting" cc $pid
