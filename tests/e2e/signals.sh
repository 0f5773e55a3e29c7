#!/bin/bash
# A command that ends by a signal has failed, how one is asked to end, and signals that were ignored when we started.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 1

job () { # RESULT OPTION… -- SCRIPT
  local result=$1 options=()
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  "$SHOAL" run -q -v in:/in -o out:/out --results "$result" --retries 0 "${options[@]}" busybox sh -c "$2"
}
attempt () { # RESULT MEMBER: of the only shard's attempt
  json "$2" <"$(echo "$1"/shards/*/attempt.json "$1"/.shoal/attempts/*/attempt.json | tr ' ' '\n' | grep -v '\*' | head -1)"
}

for runtime in oci process; do
  expect_exit 1 "$runtime: a command that ends itself by SIGTERM has failed" job "$runtime-term" --runtime $runtime -- 'kill $$'
  expect_same "… with the exit code that a shell gives it" 143 "$(attempt $runtime-term.partial exit_code)"
  expect_exit 1 "$runtime: one that aborts" job "$runtime-abort" --runtime $runtime -- 'kill -ABRT $$'
  expect_same "… ends as in a shell" 134 "$(attempt $runtime-abort.partial exit_code)"
  expect_exit 0 "$runtime: without an init it is process 1" job "$runtime-one" --runtime $runtime --init=false -- '[ $$ = 1 ] && kill $$; echo still here'
  expect_same "… which the kernel protects" "still here" "$(cat $runtime-one/stdout)"
  expect_exit 1 "$runtime: --stop-signal and --stop-timeout" job "$runtime-stop" --runtime $runtime --timeout 300ms --stop-signal USR1 \
    --stop-timeout 10m -- 'trap "echo asked; exit 3" USR1; while :; do sleep 0.1; done'
  expect_same "… end the command as it likes" "asked 3" "$(cat $runtime-stop.partial/stdout) $(attempt $runtime-stop.partial exit_code)"
  expect_exit 1 "$runtime: what ignores the signal" job "$runtime-deaf" --runtime $runtime --timeout 300ms --stop-timeout 0 -- \
    'trap "" TERM; while :; do sleep 0.1; done'
  expect_same "… is killed" 137 "$(attempt $runtime-deaf.partial exit_code)"
done
expect_exit 2 "a signal that there isn't" job bad --stop-signal SIGNONE -- true
expect_stderr '--stop-signal: "SIGNONE" isn.t a signal'
expect_exit 2 "a stop that takes more than an hour" job bad --stop-timeout 61m -- true
expect_stderr '--stop-timeout: .*out of range'
expect_exit 2 "an init that is neither on nor off" job bad --init=maybe -- true
expect_stderr '--init: "maybe" is none of true, false'

# ---- ignored before we started
catches_term () { # PID, once it is ours and no shell any more
  [ "$(readlink /proc/$1/exe)" = "$SHOAL" ] && (( 0x$(sed -n 's/^SigCgt:\t//p' "/proc/$1/status") & 1 << (15 - 1) ))
}
for signal in HUP INT; do
  rm -f in/gate
  env --ignore-signal=$signal "$SHOAL" run -q -v in:/in -o out:/out --results "deaf-$signal" --runtime process \
    any sh -c "echo >'$PWD/began-$signal'; until [ -e '$PWD/in/gate' ]; do sleep 0.05; done" &
  run=$!
  wait_for "$signal: the command" test -e began-$signal
  kill -$signal $run $(pgrep -P $run)
  touch in/gate
  expect_end 0 "SIG$signal that was ignored stays ignored" $run
done
for signal in HUP INT QUIT; do
  env --ignore-signal=$signal "$SHOAL" producer --bus "sqlite:$PWD/bus" 2>producer.err &
  service=$!
  wait_for "$signal: the service" catches_term $service
  kill -$signal $service
  kill -TERM $service
  expect_end 0 "a service leaves SIG$signal to who ignored it" $service
done
