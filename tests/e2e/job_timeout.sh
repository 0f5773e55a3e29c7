#!/bin/bash
# --job-timeout counts from the job's start by the bus's clock: mergers that are killed again and again give it no more time.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 2
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'

state () { "$SHOAL" status --json "$1" 2>/dev/null | json state; }
is_over () { [ "$(state "$1")" = failed ]; }

# Kills the merger every two seconds, until the job is over or SECONDS is LIMIT.
kill_mergers () { # JOB LIMIT
  killed=0
  until is_over "$1" || [ $SECONDS -ge "$2" ]; do
    "$SHOAL" merger --lease 1s 2>>merger.err &
    local merger=$!
    pids+=("$merger")
    read -rt 2 <> <(:) || true
    is_over "$1" && break
    kill -9 "$merger" && killed=$((killed + 1))
    wait "$merger" 2>/dev/null || true
  done
}

run_on () { # NAME BUS
  export SHOAL_BUS=$2
  local part
  for part in producer worker; do
    "$SHOAL" $part 2>"$1.$part.err" &
    pids+=($!)
  done
  expect_exit 0 "$1: a job" "$SHOAL" submit -v "$PWD/in:/in" --glob '*.txt' --id "$1" --job-timeout 10s --retries 0 \
    --results "$PWD/$1" --runtime process x sleep 100
  SECONDS=0
  kill_mergers "$1" 60
  expect_true "$1: mergers were killed" test "$killed" -ge 1
  expect_true "$1: the job ended in time ($SECONDS s)" test $SECONDS -lt 45
  expect_exit 0 "$1: its status" "$SHOAL" status "$1"
  expect_stdout "the job exceeded its time limit of 10\.0s"
}

expect_exit 0 "topics" env SHOAL_BUS="kafka://$SHOAL_TEST_KAFKA/limit-$$" "$SHOAL" topics create --partitions 2
run_on kafka "kafka://$SHOAL_TEST_KAFKA/limit-$$"
run_on sqlite "sqlite:$PWD/bus.db"
