#!/bin/bash
# An upstream service with a Kafka client and Avro of its own: jobs twice, statuses, traces, garbage and jobs that can't be; with
# a schema registry and without, and while it is away.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 4
pids=()
registry=$PWD/registry
registry_sh=$E2E_LIB/../../deploy/kafka/registry.sh
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null
  bash "$registry_sh" stop "$registry"'
python=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/venv/bin/python
export SHOAL_SCHEMA_CACHE=$PWD/schemas
trace=0af7651916cd43dd8448eb211c80319c

upstream () { # ACTION ARGUMENT…, against $place
  local action=$1
  shift
  "$python" "$E2E_LIB/upstream.py" "$action" "$place" "$@"
}
start_fleet () { # PREFIX
  local name
  place=$SHOAL_TEST_KAFKA/$1
  export SHOAL_BUS=kafka://$place
  expect_exit 0 "topics for $1" "$SHOAL" topics create --partitions 4
  for name in producer worker merger; do
    "$SHOAL" $name >"$1.$name.out" 2>"$1.$name.err" &
    pids+=($!)
  done
}
stop_fleet () {
  kill "${pids[@]}"
  wait "${pids[@]}" 2>/dev/null || true
  pids=()
}
job () { # ID [FIELDS]
  echo '{"id": "'"$1"'", "results": "'"$PWD/$1"'", "image": "x", "runtime": "process", "glob": "*.txt", "batch_size": 2,
    "command": ["sh", "-c", "cat in/*; echo $TRACEPARENT >&2"], "volumes": [{"source": "'"$PWD"'/in", "path": "/in"}]'"${2:-}"'}'
}
check_job () { # ID [REGISTRY]
  TRACEPARENT=00-$trace-b7ad6b7169203331-01 upstream submit "$(job "$1")" "${@:2}"
  upstream submit "$(job "$1")" "${@:2}"
  expect_exit 0 "$1: its status is followed" upstream follow "$1" "${@:2}"
  expect_same "$1: succeeded" SUCCEEDED "$(json state <"$E2E_WORK/out")"
  expect_same "$1: two shards" 2 "$(json succeeded <"$E2E_WORK/out")"
  expect_same "$1: its output" "1 2 3 4" "$(paste -sd ' ' "$1/stdout")"
  expect_same "$1: in its trace" 2 "$(grep -c "^00-$trace-" "$1/stderr")"
}

# ---- single-object encoding
prefix=up-$$-$RANDOM
start_fleet "$prefix"
check_job plain
expect_same "twice submitted is one job" 1 "$("$SHOAL" list --json | grep -c '"job":"plain"')"

upstream submit "$(job plain ', "batch_size": 3')"
upstream submit "$(job plain ', "results": "'"$PWD"'/elsewhere"')"
expect_exit 0 "another job under a taken id is a dead letter" upstream letters 2
expect_stdout '"shoal-topic": "up-[^"]*\.jobs", .*"shoal-key": "plain", "shoal-reason": "conflict", "shoal-error": "job plain already exists and differs in --batch-size"'
expect_stdout '"shoal-error": "job plain already exists and differs in --results"'
expect_true "of which the producer's log tells" grep -q 'event=dead_lettered record=[^ ]*\.jobs/0/2 reason=conflict error="job plain already exists' "$prefix.producer.err"
expect_exit 0 "which can be asked for" "$SHOAL" dead list --reason conflict
expect_same "two of them, none of the job that was sent twice" 2 "$(grep -c '	conflict	.*job plain already' "$E2E_WORK/out")"
expect_same "the first job stays as it was" succeeded "$("$SHOAL" status --json plain | json state)"
expect_true "nothing ran elsewhere" test ! -e elsewhere
upstream garbage jobs 'this is no job'
upstream garbage shards 'this is no shard'
upstream submit "$(job ../escape)"
expect_exit 0 "dead letters arrive" upstream letters 5
expect_same "with the bytes as they came" 1 "$(grep -c "\"value\": \"$(printf 'this is no job' | od -An -tx1 | tr -d ' \n')\"" "$E2E_WORK/out")"
expect_stdout '"shoal-topic": "up-[^"]*\.jobs".*"shoal-offset": "4"'
expect_stdout '"shoal-error": "[^"]*not a shard'
expect_stdout '"shoal-error": ".*expected 1 to 128 letters'
n=0
while IFS='|' read -r fields reason; do
  n=$((n + 1))
  upstream submit "$(job "bad$n" | sed 's/}$//; 1!b' | tr '\n' ' ')$fields}"
  expect_exit 0 "a job with $fields is answered" upstream follow "bad$n"
  expect_same "… failed" FAILED "$(json state <"$E2E_WORK/out")"
  expect_stdout "\"reason\": \"[^\"]*$reason"
done <<'JOBS'
, "results": "relative/place"|results: the result.s place .*beginning with a slash
, "batch_size": -1|batch_size: -1 is out of range
, "outputs": [{"name": "../../x", "path": "/out"}]|outputs: .*expected a folder.s name
, "retries": -5|retries: -5 is out of range
, "runtime": "bogus"|runtime: .*none of oci, process
, "volumes": [{"source": "in", "path": "/in"}]|volumes: the source .*expected an absolute folder
, "env": ["NOVALUE"]|env: .*expected NAME=VALUE
JOBS
expect_true "nobody died of it" kill -0 "${pids[@]}"

# ---- a transaction of another client is open on the topic jobs
mkfifo gate
upstream hold jobs <gate >hold.out &
holder=$!
exec 8>gate
wait_for "the transaction" grep -q open hold.out
expect_exit 0 "a job behind an open transaction is taken" "$SHOAL" submit --runtime process -v "$PWD/in:/in" --glob '*.txt' \
  --results "$PWD/behind" x true
behind=$(<"$E2E_WORK/out")
expect_stderr "job $behind was taken, but can't be read yet: another client has an open transaction on the topic jobs"
expect_exit 3 "what waits for one says so" "$SHOAL" submit --wait --runtime process -v "$PWD/in:/in" --glob '*.txt' \
  --id waits --results "$PWD/waits" x true
expect_stderr '`shoal watch waits` waits for the job later'
exec 8>&-
wait $holder
wait_for "it runs once the transaction has ended" eval '[ "$("$SHOAL" status --json "$behind" | json state)" = succeeded ]'
expect_exit 0 "and so does the other" "$SHOAL" watch --quiet waits
expect_same "each of them once" 2 "$("$SHOAL" list --json | grep -cE "\"job\":\"($behind|waits)\"")"

# ---- clients of others
expect_exit 0 "events, statuses and dead letters are read by a client that knows no lz4" upstream pure
expect_stdout '^events [1-9]'
expect_stdout '^status [1-9]'
expect_stdout '^dead 5'

# ---- dead letters
expect_exit 0 "dead list" "$SHOAL" dead list
expect_same "five letters" 5 "$(grep -c "^${place#*/}\." "$E2E_WORK/out")"
letter=$(sed -n 's/^\([^\t]*\.jobs[^\t]*\)\t.*no Avro.*/\1/p' "$E2E_WORK/out")
expect_exit 0 "dead show" "$SHOAL" dead show "$letter"
expect_stdout '^error +not a job: no Avro'
expect_stdout 'this is no job'
expect_exit 0 "sent again" "$SHOAL" dead replay "$letter"
wait_for "it is a new letter, being no better" eval '"$SHOAL" dead list | grep "no Avro" | grep -v "shards" | grep -vq "$letter"'
expect_same "and still there are five" 5 "$("$SHOAL" dead list | grep -c "^${place#*/}\.")"
expect_exit 2 "no such letter" "$SHOAL" dead show nothing/0/0
expect_stderr 'no dead letter nothing/0/0'
stop_fleet

# ---- with a schema registry
eval "$(bash "$registry_sh" start "$registry")"
export SHOAL_SCHEMA_REGISTRY=$REGISTRY
(umask 077; openssl rand -hex 32 >job.key)
export SHOAL_JOB_KEY=$PWD/job.key # what is signed is what travels: the registry's frame, or none
start_fleet "upr-$$-$RANDOM"
check_job packed "$REGISTRY"
upstream submit "$(job framed)" # a sender without a registry is understood as well
expect_exit 0 "both frames on one topic" upstream follow framed "$REGISTRY"
expect_same "succeeded" SUCCEEDED "$(json state <"$E2E_WORK/out")"
ours () { # ID
  "$SHOAL" submit --id "$1" -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/$1" x true
}
expect_exit 0 "a job of our own" ours ours
expect_exit 0 "is read by theirs" upstream follow ours "$REGISTRY"
stop_fleet
bash "$registry_sh" stop "$registry"
for name in producer worker merger; do
  "$SHOAL" $name >"away.$name.out" 2>"away.$name.err" &
  pids+=($!)
done
expect_exit 0 "the registry away: a job is submitted" ours away
expect_exit 0 "and runs by what was learnt" "$SHOAL" watch -q away
stop_fleet
