#!/bin/bash
# Jobs that share a fleet whose producers publish a window of each: a small job behind a big one, producers that are killed, a job that is cancelled
# and runs again. Counts are of records on the topic and of lines in one worker's log.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
big=${SHOAL_FAIR_SHARDS:-1200}
window=50
prefix=fair-$$-$RANDOM
make_files small 100
mkdir big
seq -f "big/%06.0f" "$big" | xargs touch
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/$prefix
E2E_SECONDS=240

submit () { # ID FOLDER OPTION…
  "$SHOAL" submit --id "$1" -v "$PWD/$2:/in" --glob '*' --runtime process --results "$PWD/result-$1" "${@:3}" x sh -c 'ls in'
}
ended () { grep -c "event=shard_done job=$1 " worker.err; }
at_least () { [ "$(ended "$1")" -ge "$2" ]; }
# Of the messages of a job's shards: key, and the sum of the content.
messages () {
  kcat -C -e -q -b "$SHOAL_TEST_KAFKA" -t "$prefix.shards" -f '%k\t%s\n' 2>/dev/null | LC_ALL=C grep -a "^$1/"
}
published () { messages "$1" | LC_ALL=C cut -f1 | grep -a "/1/[0-9]*/1$" | sort -u | wc -l; }

expect_exit 2 "a window is a number" "$SHOAL" producer --window none
expect_stderr '^shoal: --window: '
expect_exit 0 "topics" "$SHOAL" topics create --partitions 6
start_service merger merger
start_service worker worker --slots 2
start_service producer producer --window $window --lease 3s
first=$last

# ---- a small job behind a big one
expect_exit 0 "a big job" submit big big
wait_for "it runs" at_least big 80
planned () { "$SHOAL" status --json big | grep -q "\"shards\":$big"; }
wait_for "its plan is closed" planned
there=$(published big)
done_then=$(ended big)
expect_true "$there of it are published when $done_then have ended" [ "$there" -le $((done_then + window)) ]
expect_exit 0 "a small one" submit small small
expect_exit 0 "is done" "$SHOAL" watch -q small
# From the small one's first shard to its last: each has half of the slots, and of what was open of the big one nothing is taken back.
meanwhile=$(awk '/event=shard_done job=big /{big++} /event=shard_started job=small /{first = first == "" ? big : first} /event=shard_done job=small /{last = big} END {print last - first}' worker.err)
expect_true "while $meanwhile of the big one were" [ "$meanwhile" -le $((100 + 2 * window)) ]
expect_true "which has many more" [ "$(ended big)" -lt $((big - window)) ]
expect_same "its output" 100 "$(wc -l <result-small/stdout)"

# ---- the producer is killed, and another one goes on
kill -9 "$first"
touch big/late # the plan is what it was
start_service second producer --window $window --lease 3s
killed_at=$(ended big)
wait_for "another producer goes on" at_least big $((killed_at + 3 * window))
expect_true "from the frozen plan" grep -q "event=window_opened job=big shards=$big published=-1" second.err
kill -9 "$last"
start_service third producer --window $window --lease 3s
expect_exit 0 "the big one is done" "$SHOAL" watch -q big
expect_same "its output" "$big" "$(wc -l <result-big/stdout)"
expect_same "without what came later" 0 "$(grep -c late result-big/stdout)"
expect_same "all of it was published" "$big" "$(published big)"
expect_same "nothing under two contents" "$big" "$(messages big | LC_ALL=C sort -u | wc -l)"
wait_for "the plan isn't kept" test ! -e result-big/.shoal/frozen
expect_exit 0 "its bytes are right" "$SHOAL" get big copy

# ---- a job that is cancelled in the middle
expect_exit 0 "another big job" submit stopped big
wait_for "it runs" at_least stopped 50
expect_exit 0 "is cancelled" "$SHOAL" cancel stopped
expect_exit 1 "and ends so" "$SHOAL" watch -q stopped
wait_for "its window is closed" grep -q 'event=window_closed job=stopped' third.err
there=$(published stopped)
expect_true "$there of $((big + 1)) were published" [ "$there" -lt "$big" ]
expect_exit 0 "the next job" submit after small
expect_exit 0 "runs at once" "$SHOAL" watch -q after
expect_same "and nothing more of the cancelled one came" "$there" "$(published stopped)"

# ---- it runs again, with the shards that were never published
expect_exit 0 "retry" "$SHOAL" retry stopped
expect_exit 0 "brings it to its end" "$SHOAL" watch -q stopped
expect_same "all of it, as planned" "$((big + 1))" "$(wc -l <result-stopped/stdout)"
