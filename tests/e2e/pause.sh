#!/bin/bash
# A run on one machine is paused from another terminal, goes on, and is paused and stopped.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 30
first=0
at_end '[ "$first" = 0 ] || kill -9 "$first" 2>/dev/null || true'
run () { # RESULT
  as_in_a_terminal "$SHOAL" run -v "$PWD/in:/in" --glob '*' --runtime process --results "$1" -j 2 --progress none x sh -c 'sleep 0.3; ls in'
}
done_of () { "$SHOAL" status --json "$1" | sed -nE 's/.*"succeeded":([0-9]+).*/\1/p'; }
at_least () { [ "$(done_of "$1")" -ge "$2" ]; }
rests () { "$SHOAL" status --json "$1" | grep -q '"paused":true.*"running":0'; }

run paused >run.out 2>run.err &
first=$!
wait_for "it runs" at_least paused 2
expect_exit 0 "it is paused" "$SHOAL" pause paused
expect_stderr '`shoal resume [^ ]*/paused` continues it'
wait_for "what ran has ended" rests paused
before=$(done_of paused)
expect_true "$before of 30 are done" [ "$before" -lt 30 ]
expect_exit 0 "status" "$SHOAL" status paused
expect_stdout '^  set       paused$'
# Another run has all the time that the paused one would have needed.
(run other >run.out 2>&1) && ok "another run" || fail "another run"
expect_same "nothing started meanwhile" "$before" "$(done_of paused)"
expect_exit 2 "no priorities here" "$SHOAL" set --priority 3 paused
expect_stderr 'priorities and limits are for jobs of a fleet'
expect_exit 0 "it goes on" "$SHOAL" resume paused
expect_stderr 'goes on$'
expect_end 0 "and is done" $first
first=0
expect_same "all of it" 30 "$(wc -l <paused/stdout)"
expect_exit 2 "it has ended" "$SHOAL" pause paused
expect_stderr 'the job has already ended: succeeded'

for how in resume run; do
  run $how >run.out 2>run.err &
  first=$!
  wait_for "it runs" at_least $how 2
  expect_exit 0 "it is paused" "$SHOAL" pause $how
  kill -TERM $first
  wait $first || true
  first=0
  expect_exit 0 "it isn't running" "$SHOAL" status $how
  expect_stdout 'unfinished and not running'
  if [ $how = run ]; then
    (run run >run.out 2>run.err) && ok "the same command continues it" || fail "the same command"
  else
    expect_exit 0 "resume continues it" "$SHOAL" resume -j 2 --progress none resume
  fi
  expect_same "all of it" 30 "$(wc -l <$how/stdout)"
done
