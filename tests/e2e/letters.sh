#!/bin/bash
# What one worker can't read another may: no shard is lost by those that are started wrong, and garbage takes nobody's place. What nobody can read
# becomes a letter, once.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 4
registry=$PWD/registry
registry_sh=$E2E_LIB/../../deploy/kafka/registry.sh
declare -A pid=()
at_end '[ ${#pid[@]} -eq 0 ] || kill -9 "${pid[@]}" 2>/dev/null || true; wait 2>/dev/null
  bash "$registry_sh" stop "$registry"'
export SHOAL_SCHEMA_CACHE=$PWD/schemas

upstream () { # ACTION ARGUMENT…, against $place
  local action=$1
  shift
  "$E2E_PYTHON" "$E2E_LIB/upstream.py" "$action" "$place" "$@"
}
new_bus () { # PREFIX
  place=$SHOAL_TEST_KAFKA/$1
  export SHOAL_BUS=kafka://$place
  expect_exit 0 "topics for $1" "$SHOAL" topics create --partitions 1
}
start () { # NAME COMMAND…; with a short lease
  local name=$1
  shift
  "$@" --lease 2s >>"$name.out" 2>>"$name.err" &
  pid[$name]=$!
}
stop () { # NAME
  kill "${pid[$1]}"
  wait "${pid[$1]}" || true
  unset "pid[$1]"
}
submit () { # ID COMMAND…
  local id=$1
  shift
  "$SHOAL" submit --id "$id" -v "$PWD/in:/in" --glob '*.txt' --batch-size 2 --runtime process --results "$PWD/$id" x sh -c "$*"
}
letters () { # REGEX: how many there are
  "$SHOAL" dead list | grep -cE "$1" || true
}
has_letters () { [ "$(letters "$2")" = "$1" ]; } # COUNT REGEX

# ---- garbage under the keys of shards
new_bus "letters-$$-$RANDOM"
start producer "$SHOAL" producer
start merger "$SHOAL" merger
for index in 0 1 7; do
  upstream garbage shards "no shard either" "job/map/1/$index/1"
done
upstream garbage shards "nor a retry" "job/map/1/0/2"
expect_exit 0 "a job is submitted" submit job "cat in/*; while [ ! -f $PWD/go ]; do sleep 0.1; done"
start worker "$SHOAL" worker --jobs 3
wait_for "what nobody can read is a letter a lease later" has_letters 2 '\.shards/0/'
expect_true "the worker says so at once" grep -q 'shard_unreadable.*key="job/map/1/7/1' worker.err
letter=$("$SHOAL" dead list | sed -n 's/^\([^\t]*\.shards\/0\/2\)\t.*/\1/p')
expect_exit 0 "dead show" "$SHOAL" dead show "$letter"
expect_stdout 'job/map/1/7/1'
expect_stdout 'no shard either'
touch go
expect_exit 0 "the shards that stand behind it run" "$SHOAL" watch -q job
expect_same "each once" "1 2 3 4" "$(paste -sd ' ' job/stdout)"
stop worker
start worker "$SHOAL" worker --jobs 3
expect_exit 0 "another job" submit job2 'cat in/*'
expect_exit 0 "runs" "$SHOAL" watch -q job2
expect_same "no letter twice" 2 "$(letters '\.shards/0/')"

# ---- letters come once, and go as they came
upstream garbage jobs "no job"
wait_for "garbage among jobs" has_letters 1 '\.jobs/'
letter=$("$SHOAL" dead list | sed -n 's/^\([^\t]*\.jobs[^\t]*\)\t.*/\1/p')
expect_exit 0 "it is sent again" "$SHOAL" dead replay "$letter"
other_letter () { "$SHOAL" dead list | grep '\.jobs/' | grep -vqF "$letter"; }
wait_for "and is another letter" other_letter
"$E2E_PYTHON" "$E2E_LIB/upstream.py" letters "$place" 5 >"$E2E_WORK/out" # two of shards, one of jobs, its end, the next one
expect_same "with its sender's headers, and ours once" 2 \
  "$(grep '\.jobs/0/' "$E2E_WORK/out" | grep -cE '"sender": "upstream".*"shoal-key": "garbage"')"
for topic in events control status claims; do
  upstream garbage $topic "nothing of $topic"
  wait_for "garbage among $topic" has_letters 1 "\.$topic/"
done
before=$("$SHOAL" dead list)
stop producer
stop merger
start producer "$SHOAL" producer
start merger "$SHOAL" merger
expect_exit 0 "a job of the next producer and merger" submit job3 'cat in/*'
expect_exit 0 "runs" "$SHOAL" watch -q job3
expect_same "the same letters" "$before" "$("$SHOAL" dead list)"
for name in "${!pid[@]}"; do stop "$name"; done

# ---- a worker without the schema registry that all others have
eval "$(bash "$registry_sh" start "$registry")"
export SHOAL_SCHEMA_REGISTRY=$REGISTRY
new_bus "lettersr-$$-$RANDOM"
start producer "$SHOAL" producer
start merger "$SHOAL" merger
start blind env -u SHOAL_SCHEMA_REGISTRY "$SHOAL" worker
expect_exit 0 "a job is submitted" submit packed "[ -f $PWD/again ] || exit 1; cat in/*"
blind_saw () { [ "$(grep -c "shard_unreadable.*key=\"packed/map/1/./$1" blind.err)" -eq 2 ]; }
wait_for "a worker without the registry can't read its shards" blind_saw 1
expect_true "says what is missing" grep -q 'record_unreadable.*\.shards .*--schema-registry' blind.err
stop blind
start worker "$SHOAL" worker --backoff 4s
wait_for "another one runs them, and they fail once" eval '[ "$("$SHOAL" status packed --json | json attempts)" -ge 2 ]'
stop worker
start blind env -u SHOAL_SCHEMA_REGISTRY "$SHOAL" worker
wait_for "it can't read these either" blind_saw 2
stop blind
touch again
start worker "$SHOAL" worker
expect_exit 0 "the job succeeds" "$SHOAL" watch -q packed
expect_same "whole" "1 2 3 4" "$(paste -sd ' ' packed/stdout)"
for name in "${!pid[@]}"; do stop "$name"; done
