#!/bin/bash
# What jobs of one fleet get of its slots: limits, priorities, pauses, changed while jobs run and producers die. What runs is counted by the commands themselves.
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

# ---- priorities, where producers have a window
kill -9 "$last"
ended () { cat one.err other.err | grep -c "event=shard_done job=$1 "; }
at_least () { [ "$(ended "$1")" -ge "$2" ]; }
make_files many 300
make_files plenty 1000
quick () { # ID OPTION…
  "$SHOAL" submit --id "$1" -v "$PWD/${inputs:-many}:/in" --glob '*' --runtime process --results "$PWD/result-$1" "${@:2}" x true
}
expect_exit 2 "a priority has bounds" quick none --priority 11
expect_stderr '^shoal: --priority: 11 is out of range: expected -10 to 10'
expect_exit 2 "one machine has no priorities" \
  "$SHOAL" run --priority 3 -v "$PWD/in:/in" --glob '*' --runtime process --results here x true
expect_stderr '^shoal: --priority is for jobs of a fleet'
start_service windows producer --lease 3s --window 20
producer=$last
expect_exit 0 "a job" quick usual
wait_for "it runs" at_least usual 10
expect_exit 0 "one of a higher priority" quick urgent --priority 5
wait_for "it runs" at_least urgent 20
before=$(ended usual)
wait_for "most of it is done" at_least urgent 220
meanwhile=$(($(ended usual) - before))
expect_true "meanwhile a third of that of the other: $meanwhile" [ "$meanwhile" -le 120 ]
expect_true "which doesn't starve" [ "$meanwhile" -ge 20 ]
expect_exit 0 "the urgent one is done" "$SHOAL" watch -q urgent
expect_exit 0 "and so is the other" "$SHOAL" watch -q usual

# ---- changed while they run
# The first has so many shards that some are left however long commands take.
inputs=plenty expect_exit 0 "a job" quick first
expect_exit 0 "and another" quick second
wait_for "both run" eval 'at_least first 20 && at_least second 20'
expect_exit 0 "the first gives way" "$SHOAL" set --priority -5 first
expect_stderr 'job first: priority -5$'
before="$(ended first) $(ended second)"
expect_exit 0 "status says so" "$SHOAL" status first
expect_stdout '^  set       priority -5$'
expect_exit 0 "for programs, too" "$SHOAL" list --json
expect_stdout '"job": ?"first".*"priority": ?-5'
wait_for "most of the second is done" at_least second 220
gone=$(($(ended first) - ${before% *})) others=$(($(ended second) - ${before#* }))
expect_true "$gone of the first meanwhile, $others of the second" [ "$gone" -le $((others / 2 + 30)) ]
expect_exit 0 "the first is paused" "$SHOAL" pause first
expect_exit 0 "it gets a limit" "$SHOAL" set --max-parallel 3 first
expect_exit 0 "the limit holds" "$SHOAL" status --json first
expect_stdout '"max_parallel": ?3'
expect_exit 0 "and is lifted" "$SHOAL" set --max-parallel none first
expect_stderr 'job first: paused, priority -5$'
expect_exit 0 "it goes on" "$SHOAL" resume first
expect_exit 0 "the second is done" "$SHOAL" watch -q second
expect_exit 0 "the first is done" "$SHOAL" watch -q first
expect_exit 2 "what has ended is not changed" "$SHOAL" set --priority 1 first
expect_stderr 'first: the job has already ended: succeeded'
expect_exit 2 "no job, no priority" "$SHOAL" set --priority 1 nobody
expect_exit 2 "nothing to set" "$SHOAL" set first
expect_stderr 'name --priority or --max-parallel'
make_files few 22
stays () { # ID GLOB: from the fifth shard on, until it is cancelled
  "$SHOAL" submit --id "$1" -v "$PWD/few:/in" --glob "$2" --runtime process --results "$PWD/result-$1" \
    x bash -c '[ "$SHOAL_SHARD_INDEX" -lt 4 ] || sleep 600'
}
expect_exit 0 "a job that fits in its window" stays fits '*[0-4].txt'
wait_for "is published" eval '"$SHOAL" status --json fits | grep -q "\"shards\": *[1-9]"'
expect_exit 2 "is not changed" "$SHOAL" set --priority 3 fits
expect_stderr 'fits: all of its shards are published already'
expect_exit 0 "it ends" "$SHOAL" cancel fits
expect_exit 1 "at once" "$SHOAL" watch -q fits
expect_exit 0 "one whose last shard is out" stays tail '*'
wait_for "in the end" grep -q 'event=window_closed job=tail ' windows.err
expect_exit 2 "is not changed either" "$SHOAL" set --max-parallel 3 tail
expect_stderr 'tail: all of its shards are published already'
expect_exit 0 "it ends" "$SHOAL" cancel tail
expect_exit 1 "at once" "$SHOAL" watch -q tail
expect_exit 0 "its limit is that of the retry" "$SHOAL" set --max-parallel 30 tail
"$SHOAL" retry tail >/dev/null 2>&1 &
wait_for "which runs" eval '"$SHOAL" status --json tail | grep -q "\"state\": *\"running\""'
expect_exit 2 "and is not changed" "$SHOAL" set --max-parallel 3 tail
expect_stderr 'tail: all of its shards are published already'
expect_exit 0 "it ends" "$SHOAL" cancel tail
expect_exit 1 "at once" "$SHOAL" watch -q tail

# ---- paused
expect_exit 0 "a job" quick held
wait_for "it runs" at_least held 30
expect_exit 0 "is paused" "$SHOAL" pause held
expect_stderr 'job held is paused.*`shoal resume held` continues it'
rests () { "$SHOAL" status --json held | grep -q '"running": *0'; }
wait_for "what ran has ended" rests
expect_exit 0 "list" "$SHOAL" list
expect_stdout "^held	paused	"
expect_exit 0 "status" "$SHOAL" status held
expect_stdout '^  set       paused$'
before=$(ended held)
expect_exit 0 "another job" submit passes
expect_exit 0 "passes it by" "$SHOAL" watch -q passes
kill -9 "$producer"
start_service again producer --lease 3s --window 20
start_service newcomer worker --slots 2 --listen 127.0.0.1:0
expect_exit 0 "one more" submit later
expect_exit 0 "after the producer died, and with a new worker" "$SHOAL" watch -q later
wait_for "the new producer has the job" grep -q 'event=window_opened job=held' again.err
expect_same "nothing of the paused one ran" "$before 0" "$(ended held) $(grep -c 'job=held ' newcomer.err)"
expect_exit 0 "it goes on" "$SHOAL" resume held
expect_stderr 'job held goes on$'
expect_exit 0 "twice is once" "$SHOAL" resume held
expect_stderr 'job held goes on: `control` has no pause of it$'
expect_exit 0 "it is done" "$SHOAL" watch -q held
expect_exit 2 "too late" "$SHOAL" pause held

# ---- cancelled while it is paused
expect_exit 0 "a job" quick stopped
wait_for "it runs" at_least stopped 10
expect_exit 0 "is paused" "$SHOAL" pause stopped
expect_exit 0 "and cancelled" "$SHOAL" cancel stopped
expect_exit 1 "and ends so" "$SHOAL" watch -q stopped
read_past () {
  curl -sf "http://$(sed -n 's/.*event=listening address=\([^ ]*\).*/\1/p' newcomer.err)/metrics" >metrics \
    && grep -q '^shoal_consumer_lag{' metrics && ! grep -E '^shoal_(consumer_lag|partition_incomplete)\{' metrics | grep -vq ' 0$'
}
wait_for "nothing of it is left in the workers' way" read_past
expect_exit 0 "a retry" "$SHOAL" retry stopped
expect_exit 0 "isn't paused" "$SHOAL" watch -q stopped

# ---- orders and deaths of producers in any order
seed=${SHOAL_SEED:-$$}
echo "SHOAL_SEED=$seed"
RANDOM=$seed
kill -9 "$last" # the worker that came last
start_service random producer --lease 3s --window 20
producer=$last
expect_exit 0 "a job" "$SHOAL" submit --id random -v "$PWD/many:/in" --glob '*' --runtime process --results "$PWD/result-random" x \
  sh -c 'sleep 0.3; ls in'
wait_for "it runs" at_least random 5
for turn in 1 2 3 4 5 6 7 8 9 10 11 12; do
  case $((RANDOM % 5)) in
    0) "$SHOAL" pause random || true ;;
    1) "$SHOAL" resume random || true ;;
    2) "$SHOAL" set --priority $((RANDOM % 21 - 10)) random || true ;;
    3) "$SHOAL" set --max-parallel $((RANDOM % 5 + 1)) random || true ;;
    4) kill -9 "$producer"; start_service "random$turn" producer --lease 3s --window 20; producer=$last ;;
  esac
done >random.log 2>&1
expect_true "every order was taken" eval '! grep -v "job random\|random: the job is not paused\|Killed" random.log'
expect_exit 0 "all is lifted" "$SHOAL" set --priority 0 --max-parallel none random
"$SHOAL" resume random >>random.log 2>&1 || true
expect_exit 0 "it is done" "$SHOAL" watch -q random
expect_same "each shard once" "$(ls many)" "$(sort result-random/stdout)"
