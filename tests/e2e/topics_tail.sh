#!/bin/bash
# `shoal topics tail`: which records, in which order, and what is said of those that can't be read.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 30
place=$SHOAL_TEST_KAFKA/tail-$$-$RANDOM
export SHOAL_BUS=kafka://$place
upstream () { # ACTION ARGUMENT…
  "$E2E_PYTHON" "$E2E_LIB/upstream.py" "$1" "$place" "${@:2}"
}
submit () { # ID
  "$SHOAL" submit --id "$1" -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/$1" x true >/dev/null
}
field () { # EXPRESSION: of each line of out, by Python, as r
  python3 -c 'import json, sys
for line in sys.stdin:
    r = json.loads(line)
    print(eval(sys.argv[1]))' "$1" <"$E2E_WORK/out"
}

expect_exit 0 "topics" "$SHOAL" topics create --partitions 3 --queue gpu
expect_exit 0 "an empty topic" "$SHOAL" topics tail jobs
expect_same "has no records" "" "$(cat "$E2E_WORK/out")"
start_service producer producer
submit one
wait_for "the plan" eval '"$SHOAL" topics tail events | grep -q PLANNED'

expect_exit 0 "a job" "$SHOAL" topics tail jobs
expect_same "as it was sent" "Job one one *.txt" "$(field 'r["record"] + " " + r["key"] + " " + r["value"]["id"] + " " + r["value"]["glob"]["string"]')"
expect_exit 0 "by the topic's whole name" "$SHOAL" topics tail "${place#*/}.jobs"
expect_same "it is the same" one "$(field 'r["key"]')"
expect_exit 0 "shards of three partitions" "$SHOAL" topics tail shards -n 100
expect_same "are thirty, each once" "$(seq 0 29)" "$(field 'r["value"]["index"]' | sort -n)"
expect_true "in order of time" diff <(field 'r["time"]') <(field 'r["time"]' | sort -n)
expect_same "of all partitions" "0 1 2" "$(field 'r["partition"]' | sort -u | paste -sd ' ')"
cp "$E2E_WORK/out" all
expect_exit 0 "the last ones" "$SHOAL" topics tail shards -n 7
expect_true "are the last ones" diff <(tail -n 7 all) "$E2E_WORK/out"
expect_exit 0 "none" "$SHOAL" topics tail shards -n 0
expect_same "are none" "" "$(cat "$E2E_WORK/out")"
expect_exit 0 "a queue's" "$SHOAL" topics tail shards.gpu
expect_same "are none yet" "" "$(cat "$E2E_WORK/out")"

# A transaction's end takes an offset and is no record.
mkfifo gate
upstream hold jobs <gate >hold.out &
holder=$!
exec 8>gate
wait_for "the transaction" grep -q open hold.out
exec 8>&-
wait $holder
submit two
expect_exit 0 "behind offsets without a record" "$SHOAL" topics tail jobs -n 2
expect_true "there are as many as were asked for" test "$(wc -l <"$E2E_WORK/out")" -eq 2
expect_same "the last one is the last" two "$(field 'r["key"]' | tail -n 1)"

upstream garbage jobs $'this is\e no job'
wait_for "the letter" eval '"$SHOAL" topics tail dead | grep -q undecodable'
expect_exit 0 "garbage" "$SHOAL" topics tail jobs -n 1
expect_same "is told as what it is" "not a message of a version this program knows" "$(field 'r["error"]')"
expect_same "with its bytes" $'this is\e no job' "$(field 'r["value_base64"]' | base64 -d)"
expect_same "and its header" upstream "$(field 'r["headers"]["sender"]')"
expect_true "without a control character" bash -c '! grep -qP "[\x00-\x09\x0b-\x1f\x7f-\xff]" "$1"' - "$E2E_WORK/out"

"$SHOAL" topics tail jobs -n 0 -f >followed 2>followed.err &
follower=$!
at_end 'kill -9 $follower 2>/dev/null || true'
sent=0
wait_for "what comes is told" eval 'sent=$((sent + 1)); submit "more$sent"; grep -q "\"key\":\"more" followed'
kill $follower

expect_exit 2 "another topic" "$SHOAL" topics tail job
expect_stderr 'job: not a topic of the bus: expected jobs, shards, .*or shards.QUEUE'
expect_one_line
expect_exit 2 "a queue that there isn't" "$SHOAL" topics tail claims.cpu
expect_stderr 'cpu'
expect_exit 2 "no topic" "$SHOAL" topics tail
expect_stderr 'usage: shoal topics '
expect_exit 2 "a topic for check" "$SHOAL" topics check jobs
expect_exit 2 "a number that isn't one" "$SHOAL" topics tail jobs -n many
expect_stderr '--lines: "many" is not a whole number'
SHOAL_BUS=sqlite:$PWD/none.db expect_exit 2 "a bus that isn't there" "$SHOAL" topics tail jobs
expect_true "isn't made" test ! -e none.db
