#!/bin/bash
# shoal retry and resume with other limits, more memory after an attempt ran out of it.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 4
mkdir state
host=(--runtime process -e "STATE=$PWD/state")
job () { "$SHOAL" run --backoff 20ms -j 1 --retries 0 -v in:/in -o res:/out --glob '*.txt' "${host[@]}" "$@"; }
# Shard 2 needs GREETING, or two seconds.
SLOW='echo $SHOAL_SHARD_INDEX >>"$STATE/ran"; [ $SHOAL_SHARD_INDEX != 2 ] || [ -n "$GREETING" ] || sleep 2; echo "$GREETING"'

expect_exit 1 "a job with too little time" job --results time --timeout 500ms --stop-timeout 0 any sh -c "$SLOW"
: >state/ran
expect_exit 0 "retry with more" "$SHOAL" retry time --timeout 30s
expect_same "… runs only what failed" 2 "$(cat state/ran)"
expect_exit 0 "retry of a job that is done, with a limit" "$SHOAL" retry time --timeout 40s
expect_exit 0 "… changes nothing: the same command again" job --results time --timeout 30s --stop-timeout 0 any sh -c "$SLOW"
expect_stderr "already ended"
expect_exit 2 "a limit that can't be" "$SHOAL" retry time --shard 1 -m 1k
expect_stderr "memory"
expect_exit 2 "a ceiling without a factor" "$SHOAL" retry time --shard 1 --retry-memory-max 1g
expect_stderr "retry-memory-max is for jobs with --retry-memory"

expect_exit 1 "a job without a variable" job --results env --timeout 500ms --stop-timeout 0 any sh -c "$SLOW"
expect_exit 0 "retry with it" "$SHOAL" retry env -e GREETING=hello -e STATE="$PWD/state"
expect_same "… which only the shard that failed has" "|hello" "$(sort -u env/stdout | paste -sd '|')"

: >state/ran
as_in_a_terminal "$SHOAL" run -j 1 --retries 0 -v in:/in --glob '*.txt' "${host[@]}" --results stopped any sh -c "$SLOW; exec sleep 100" >/dev/null 2>&1 &
run=$!
wait_for "its first shard" test -s state/ran
kill -TERM $run
expect_end 130 "an interrupted run" $run
expect_exit 1 "resume with a time limit" "$SHOAL" resume stopped --timeout 300ms
expect_stderr "timeout"

# Memory: 100 MiB are not enough for 250.
hog='python3 -c "b = bytearray(250 << 20)"'
expect_exit 1 "a job that runs out of memory" job --results oom -m 100m --retries 2 any sh -c "$hog"
expect_stderr "out of memory"
expect_exit 0 "… and doesn't with more each time" job --results grown -m 100m --retries 3 --retry-memory 2x any sh -c "$hog"
expect_exit 1 "… up to a ceiling" job --results ceiling -m 100m --retries 3 --retry-memory 2x --retry-memory-max 150m any sh -c "$hog"
expect_exit 0 "retry with a factor" "$SHOAL" retry ceiling --retry-memory 3x --retry-memory-max 600m
expect_exit 2 "a factor without a limit" job --results x --retry-memory 2x any true
expect_stderr "needs a limit to begin with: --memory"
expect_exit 2 "a factor that is none" job --results x -m 100m --retry-memory 2 any true
expect_stderr "is not a factor"
