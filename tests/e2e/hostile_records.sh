#!/bin/bash
# Records that no program of ours writes, on all topics of a bus whose records aren't signed: broken, cut off, of impossible numbers, under wrong keys. Nobody ends of
# them, what can't be read is a letter, claims hold nothing for ever, and jobs before and after them run.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
E2E_SECONDS=180
make_files in 4
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
place=$SHOAL_TEST_KAFKA/hostile-$$-$RANDOM
export SHOAL_BUS=kafka://$place
expect_exit 0 "topics" "$SHOAL" topics create --partitions 2 --event-partitions 2
upstream () { "$E2E_PYTHON" "$E2E_LIB/upstream.py" "$1" "$place" "${@:2}"; }
start () {
  local part slots
  for part in producer worker merger; do
    slots=() # more than the job that takes long has shards
    [ $part != worker ] || slots=(--jobs 6)
    SHOAL_LOG=warn UBSAN_OPTIONS=print_stacktrace=1 "$SHOAL" $part --lease 3s "${slots[@]}" >>"$part.out" 2>>"$part.err" &
    pids+=($!)
  done
}
job () { # ID SHELL
  echo '{"id": "'"$1"'", "results": "'"$PWD/$1"'", "image": "x", "runtime": "process", "glob": "*.txt", "batch_size": 2,
    "command": ["sh", "-c", "'"$2"'"], "volumes": [{"source": "'"$PWD"'/in", "path": "/in"}]}'
}
runs () { # ID
  upstream submit "$(job "$1" 'cat in/*')"
  expect_exit 0 "$1 ends" timeout 180 "$SHOAL" watch -q "$1"
  expect_same "its output" "1 2 3 4" "$(paste -sd ' ' "$1/stdout")"
}
all_live () { # WHAT
  expect_true "$1: nobody ended" kill -0 "${pids[@]}"
  expect_same "$1: nobody did what C doesn't define" "" "$(grep -hE 'runtime error|AddressSanitizer|LeakSanitizer' ./*.err | sort -u | head -5)"
}
start
runs before
upstream submit "$(job long "while [ ! -e $PWD/go ]; do sleep 0.1; done; cat in/*")"
wait_for "a job runs" eval '[ "$("$SHOAL" status --json long | json state)" = running ]'
upstream hostile >sent
expect_true "$(<sent) records were sent" test "$(<sent)" -gt 1500
wait_for "letters of the producer" eval 'grep -q "reason=undecodable" producer.err'
runs between
all_live "junk"
letters=$("$SHOAL" dead list --reason undecodable | tail -n +2 | wc -l)
expect_true "$letters letters" test "$letters" -gt 900

# ---- whole records of impossible numbers
forge () { # TOPIC RECORD KEY JSON
  upstream forge "$@"
}
most=2147483647 more=9223372036854775807
for key in numbers/map/1/0/1 numbers/map/1/1/1; do # claims on shards that will be there
  for kind in CLAIM RENEW SETTLE; do
    for writer in mallory "" "$(printf 'w%.0s' {1..5000})"; do
      forge claims Claim $key '{"kind": "'$kind'", "writer": "'"$writer"'", "starts": '$most', "lease": '$more', "position": '$more'}'
      forge claims Claim $key '{"kind": "'$kind'", "writer": "'"$writer"'", "starts": 1, "lease": -'$more', "position": -1}'
    done
  done
done
for key in job/numbers group/merger/0 group/merger/1; do
  forge leases Claim $key '{"kind": "CLAIM", "writer": "mallory", "starts": '$most', "lease": '$more'}'
  forge leases Claim $key '{"kind": "RENEW", "writer": "mallory", "starts": '$most', "lease": '$more'}'
done
forge leases Claim queue/default '{"kind": "UNKNOWN", "writer": "mallory", "lease": '$more'}'
forge leases Claim 'member/merger/mallory x' '{"kind": "CLAIM", "writer": "mallory", "starts": 1, "lease": '$more'}'
for id in numbers nowhere ../x; do
  for number in -1 0 1 $most -2147483648; do
    forge events Event $id '{"kind": "FINISHED", "job_id": "'$id'", "time": '$more', "generation": '$number', "index": '$number', "attempt": '$number', "starts": '$number',
      "atoms": '$more', "bytes": '$more', "report": {"outcome": "SUCCEEDED", "final": true, "exit_code": '$number', "folder": "../../x", "started": -'$more',
      "ended": '$more', "cpu_us": '$more', "peak_memory": -1, "bytes_in": '$more', "bytes_out": '$more', "files_out": '$more'}}'
    forge events Event $id '{"kind": "REOPENED", "job_id": "'$id'", "time": '$more', "generation": '$number', "indexes": [0, '$number']}'
    forge events Event $id '{"kind": "PLANNED", "job_id": "'$id'", "time": '$number', "shards": '$more', "atoms": '$more', "bytes": -'$more'}'
    forge control Control $id '{"kind": "CANCEL", "job_id": "'$id'-x", "time": '$more', "generation": '$number'}'
    forge shards Shard "$id/map/$number/0/1" '{"job_id": "'$id'", "generation": '$number', "index": '$number', "attempt": '$number', "atom_count": '$more',
      "digest": "", "atoms": "", "not_before": '$more'}'
  done
done
for key in late/map/1/0/1 late/map/1/1/1; do # these alone are a job's that is still to come
  forge claims Claim $key '{"kind": "CLAIM", "writer": "mallory", "starts": '$most', "lease": '$more'}'
done
forge leases Claim job/late '{"kind": "CLAIM", "writer": "mallory", "starts": '$most', "lease": '$more'}'
runs late
touch go
expect_exit 0 "the long one ends" timeout 180 "$SHOAL" watch -q long
expect_same "its output" "1 2 3 4" "$(paste -sd ' ' long/stdout)"
all_live "numbers"
expect_true "memory stays small" eval 'for pid in "${pids[@]}"; do [ "$(awk "/VmRSS/ {print \$2}" /proc/$pid/status)" -lt 1500000 ] || exit 1; done'
expect_exit 0 "dead list" "$SHOAL" dead list
expect_true "says nothing to the terminal" eval '! grep -qP "[\x00-\x08\x0b-\x1f\x7f]" "$E2E_WORK/out"'

# ---- those who come later read it all from the start
kill "${pids[@]}"
for pid in "${pids[@]}"; do expect_end 0 "SIGTERM ends it" "$pid"; done
pids=()
start
runs after
all_live "again"
