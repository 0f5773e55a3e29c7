#!/bin/bash
# --min-success, --max-failures, --timeout, --job-timeout.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 10
job () { "$SHOAL" run --retries 0 -v in:/in -o res:/out --glob '*.txt' "$@"; }
ONE='[ $SHOAL_SHARD_INDEX != 4 ] || exit 6; '$COPY

expect_exit 0 "--min-success 90% with one of ten failed" job --results min --min-success 90% busybox sh -c "$ONE"
expect_stderr "partial.*1 of 10 shards failed"
expect_stderr "shoal retry .*min --failed"
expect_true "its result stands" test -d min
expect_same "… with what succeeded" 9 "$(ls min/outputs/res | wc -l)"
expect_same "… and says so in the manifest" partial "$(json state <min/manifest.json)"
expect_exit 1 "--min-success 95% with one of ten failed" job --results min95 --min-success 95% busybox sh -c "$ONE"
expect_exit 1 "--max-failures 2 gives up" job --results max --max-failures 2 --jobs 1 busybox sh -c 'exit 6'
expect_stderr "[0-9]+ shards failed, more than the 2 allowed"
expect_true "… after the third" test "$("$SHOAL" status --json max | json attempts)" -lt 10
expect_exit 1 "retry runs the rest as well" "$SHOAL" retry max
expect_exit 1 "--max-failures 20%" job --results maxp --max-failures 20% --jobs 1 busybox sh -c 'exit 6'
expect_stderr "more than the 20% allowed"

expect_exit 1 "--timeout" job --results time --timeout 300ms --max-failures 0 --jobs 1 busybox sh -c 'echo begun; exec sleep 60'
expect_stderr "shard 0: .*time"
expect_exit 0 "… keeps what was printed" "$SHOAL" logs time --shard 0
expect_stdout begun
expect_exit 1 "--timeout against a command that ignores SIGTERM" job --results trap --timeout 300ms --max-failures 0 --jobs 1 \
  busybox sh -c 'trap "" TERM; while :; do sleep 1; done'
expect_exit 1 "--job-timeout" job --results whole --job-timeout 1s --jobs 2 busybox sleep 60
expect_stderr "exceeded its time limit of 1.0s"
