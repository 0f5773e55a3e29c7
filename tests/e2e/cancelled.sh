#!/bin/bash
# A job that is cancelled before anything of it was planned ends as cancelled at once, on each bus, and stays so when a producer comes.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 2
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
export SHOAL_LOG=info

service () { # NAME
  "$SHOAL" "$1" >"$1.log" 2>&1 &
  pids+=($!)
}
has_state () { # JOB STATE
  [ "$("$SHOAL" status --json "$1" | json state)" = "$2" ]
}
submit () { # JOB
  "$SHOAL" submit --runtime process -v "$PWD/in:/in" --glob '*' --results "$PWD/$kind.$1" --id "$1" x true
}

for kind in sqlite kafka; do
  case $kind in
    sqlite) export SHOAL_BUS=sqlite:$PWD/bus.db ;;
    kafka)
      export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/cancelled-$$-$RANDOM
      expect_exit 0 "$kind: topics" "$SHOAL" topics create --partitions 2
      ;;
  esac
  pids=()
  service merger
  expect_exit 0 "$kind: a job without a producer" submit early
  expect_exit 0 "$kind: is cancelled" timeout 30 "$SHOAL" cancel early
  expect_true "$kind: and its status says so" has_state early cancelled
  expect_exit 0 "$kind: status" "$SHOAL" status early
  expect_stdout "^  shards    not planned$"
  expect_stdout "^  next      submit the job again, with another --id and --results$"
  expect_true "$kind: doesn't tell to retry what can't be" sh -c '! grep -q retry ../out'
  expect_true "$kind: no trouble is told" sh -c '! grep -q trouble ../out'
  expect_exit 2 "$kind: retry" "$SHOAL" retry early
  expect_stderr "the job ended before it was planned: submit it again, with another --id and --results"
  expect_true "$kind: there is no result" [ ! -e "$kind.early.partial" ]

  service producer
  service worker
  expect_exit 0 "$kind: a job behind it" submit later
  wait_for "$kind: the job behind it" has_state later succeeded
  expect_true "$kind: the first one is cancelled still" has_state early cancelled
  expect_true "$kind: nothing of it was planned" [ ! -e "$kind.early" -a ! -e "$kind.early.partial" ]
  expect_true "$kind: the merger had no trouble" sh -c '! grep -q event=merge_retry merger.log'
  kill "${pids[@]}"
  wait "${pids[@]}" || true
done
