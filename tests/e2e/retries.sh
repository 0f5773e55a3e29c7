#!/bin/bash
# Attempts within a run (--retries, --fail-on, --success-codes) and `shoal retry` afterwards.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 6
mkdir state
job () { "$SHOAL" run --backoff 20ms -v in:/in -o res:/out --glob '*.txt' "$@"; }
attempts () { "$SHOAL" status --json "$1" | json attempts; }
host=(--runtime process -e "STATE=$PWD/state")

expect_exit 0 "a shard that fails twice succeeds the third time" job --results flaky busybox \
  sh -c '[ $SHOAL_SHARD_INDEX != 3 ] || [ $SHOAL_ATTEMPT = 3 ] || exit 9'
expect_stderr "6 of 6 succeeded \(2 attempts retried\)"
expect_exit 1 "no retries when none are wanted" job --results none --retries 0 busybox sh -c 'exit 9'
expect_same "… a start for each shard" 6 "$(attempts none)"
expect_exit 1 "--fail-on isn't retried" job --results failon --fail-on 9-11 busybox sh -c 'exit 10'
expect_same "… a start for each shard" 6 "$(attempts failon)"
expect_exit 0 "--success-codes" job --results success --success-codes 3,4 busybox sh -c 'exit 3'
expect_same "… keeps the exit code" 3 "$(cat success/shards/00000/exit_code)"

# Fails until the host has the file `fixed`.
FIX='echo "$SHOAL_SHARD_INDEX" >> "$STATE/ran"; '$COPY'; echo here; case $SHOAL_SHARD_INDEX in 1|4) [ -e "$STATE/fixed" ] || exit 5;; esac'
expect_exit 1 "a job with two failing shards" job --results fix --retries 0 "${host[@]}" any sh -c "$FIX"
expect_stderr "shards 1, 4: exit code 5"
expect_exit 0 "logs of the failed" "$SHOAL" logs fix --failed
expect_same "… are those of two shards" "==> shard 1: exit code 5 (failed, 1 attempt) <== ==> shard 1, stdout <== here ==> shard 4: exit code 5 (failed, 1 attempt) <== ==> shard 4, stdout <== here" "$(tr '\n' ' ' <"$E2E_WORK/out" | sed 's/ $//')"
expect_exit 2 "retry of a shard that isn't there" "$SHOAL" retry fix --shard 6
expect_stderr "no shard 6: the job has shards 0 to 5"
: >state/ran
expect_exit 1 "retry of what fails again" "$SHOAL" retry fix
expect_same "… runs the failed shards only" "1 4" "$(sort state/ran | tr '\n' ' ' | sed 's/ $//')"
touch state/fixed
: >state/ran
expect_exit 1 "retry of one of them leaves the other" "$SHOAL" retry fix --shard 4
expect_same "… runs that one only" "4" "$(cat state/ran)"
expect_exit 0 "retry --failed completes the result" "$SHOAL" retry fix --failed
expect_true "… it stands" test -d fix -a ! -e fix.partial
expect_same "… whole" 6 "$(ls fix/outputs/res | wc -l)"
expect_same "… in the generation of the last retry" 4 "$("$SHOAL" status --json fix | json generation)"
expect_exit 0 "then there is nothing to retry" "$SHOAL" retry fix
expect_stderr "no shard has failed"
: >state/ran
expect_exit 0 "shards that succeeded run again when they are named" "$SHOAL" retry fix --shard 0,2-3
expect_same "… just these" "0 2 3" "$(sort state/ran | tr '\n' ' ' | sed 's/ $//')"
expect_same "… and the result stays whole" 6 "$(ls fix/outputs/res | wc -l)"
rm state/fixed
expect_exit 1 "a retry that fails doesn't take a complete result away" "$SHOAL" retry fix --shard 1
expect_true "… it still stands" test -f fix/outputs/res/f002.txt
