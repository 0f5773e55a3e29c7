#!/bin/bash
# What jobs of one fleet get of its slots: a limit on shards that run at the same time. What runs is counted by the commands themselves.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
prefix=shares-$$-$RANDOM
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/$prefix
E2E_SECONDS=120
make_files in 48
mkdir running

# Notes how many of its job run while it does. The first attempt of every eighth shard fails.
cat >counted <<'END'
#!/bin/bash
mkdir -p "$1/$2"
touch "$1/$2/$SHOAL_SHARD_INDEX"
ls "$1/$2" | wc -l >>"$1/$2.counts"
sleep 0.3
rm "$1/$2/$SHOAL_SHARD_INDEX"
echo "$SHOAL_SHARD_INDEX"
[ $((SHOAL_SHARD_INDEX % 8)) -ne 7 ] || [ "$SHOAL_ATTEMPT" -ne 1 ]
END
chmod +x counted
submit () { # ID OPTION…
  "$SHOAL" submit --id "$1" -v "$PWD/in:/in" --glob '*' --runtime process --results "$PWD/result-$1" "${@:2}" \
    x "$PWD/counted" "$PWD/running" "$1"
}
most () { sort -n "running/$1.counts" | tail -1; }

expect_exit 0 "topics" "$SHOAL" topics create --partitions 6
start_service merger merger
start_service one worker --slots 4 --backoff 100ms
start_service other worker --slots 4 --backoff 100ms
start_service producer producer --lease 3s
producer=$last

# ---- a limit on what runs at the same time, where producers have no window
expect_exit 0 "a job without a limit" submit free
expect_exit 0 "is done" "$SHOAL" watch -q free
expect_true "$(most free) of it ran at the same time" [ "$(most free)" -gt 4 ]
expect_exit 2 "a limit is a number" submit none --max-parallel none
expect_stderr '^shoal: --max-parallel: '
expect_exit 2 "from one on" submit none --max-parallel 0
expect_stderr '^shoal: --max-parallel: 0 is out of range'
expect_exit 0 "a job with a limit" submit three --max-parallel 3
wait_for "it runs" test -s running/three.counts
expect_exit 0 "one beside it" submit beside
expect_exit 0 "which doesn't wait for it" "$SHOAL" watch -q beside
expect_true "runs in the slots that are free: $(most beside)" [ "$(most beside)" -gt 3 ]
expect_exit 0 "both are done" "$SHOAL" watch -q three
expect_same "of the first 3 ran at the same time" 3 "$(most three)"
expect_exit 0 "its bytes are right" "$SHOAL" get three copy
expect_exit 2 "the same with another limit is another job" submit three --max-parallel 4
expect_stderr 'job three already exists and differs in --max-parallel'
expect_exit 2 "no more of it run again at the same time" "$SHOAL" retry three --shard 0-9
expect_stderr "three: 10 shards would run again at the same time, and the job's --max-parallel is 3"
expect_exit 0 "as many do" "$SHOAL" retry three --shard 0-2
expect_exit 2 "one machine has another limit" \
  "$SHOAL" run --max-parallel 3 -v "$PWD/in:/in" --glob '*' --runtime process --results here x true
expect_stderr '^shoal: --max-parallel is for jobs of a fleet: on one machine -j N'
expect_true "and nothing was made" [ ! -e here ]

# ---- the producer dies in the middle
expect_exit 0 "another job with a limit" submit killed --max-parallel 3
wait_for "it runs" test -s running/killed.counts
kill -9 "$producer"
start_service second producer --lease 3s
expect_exit 0 "is done" "$SHOAL" watch -q killed
expect_true "$(most killed) ran at the same time" [ "$(most killed)" -le 3 ]
expect_same "each shard once" "$(seq 0 47)" "$(cat result-killed/stdout)"
