#!/bin/bash
# A fleet on a real Kafka broker, as its users meet it: topics, submitting, two workers, cancel, retry, a killed worker, what is wrong said in a line.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 40
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
prefix=e2e-$$-$RANDOM
bus=kafka://$SHOAL_TEST_KAFKA/$prefix

part () { # NAME OPTION…
  local name=$1
  SHOAL_LOG=info "$SHOAL" "$@" --bus "$bus" >"$name.${#pids[@]}.out" 2>"$name.${#pids[@]}.err" &
  pids+=($!)
}
has_state () { [ "$("$SHOAL" status --bus "$bus" --json "$1" | json state)" = "$2" ]; }
is_running () { [ "$("$SHOAL" status --bus "$bus" --json "$1" | json running)" -ge 1 ]; }
has_done () { [ "$("$SHOAL" status --bus "$bus" --json "$1" | json succeeded)" -ge "$2" ]; }
job=(-v "$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 2)

# ---- topics
expect_exit 2 "without topics nothing starts" "$SHOAL" list --bus "$bus"
expect_stderr "no topic $prefix.jobs.*shoal topics create"
expect_one_line
expect_exit 2 "topics check says what is missing" "$SHOAL" topics check --bus "$bus"
expect_stdout "$prefix.claims: missing"
expect_exit 0 "topics create makes them" "$SHOAL" topics create --bus "$bus" --partitions 4
expect_exit 0 "a second time is fine" "$SHOAL" topics create --bus "$bus" --partitions 4
expect_exit 0 "more partitions can be added" "$SHOAL" topics create --bus "$bus" --partitions 6
expect_stdout "shards: 6 partitions, were 4"
expect_exit 0 "and all is well" "$SHOAL" topics check --bus "$bus"
expect_exit 0 "describe tells" "$SHOAL" topics describe --bus "$bus"
expect_stdout "claims: min.compaction.lag.ms = 300000"
expect_stdout "jobs: 1 copy"
expect_stdout "leases: segment.ms = 3600000"
expect_stdout "status: segment.bytes = 67108864"
expect_stdout "shards: retention.bytes = -1"
setting () { "$E2E_PYTHON" "$E2E_LIB/upstream.py" setting "$SHOAL_TEST_KAFKA/$prefix" "$@"; }
setting leases segment.ms 604800000
expect_exit 2 "segments that stay open for a week are no good" "$SHOAL" topics check --bus "$bus"
expect_stdout "leases: segment.ms = 604800000, should be 3600000"
setting leases segment.ms 1800000
expect_exit 0 "shorter ones are" "$SHOAL" topics check --bus "$bus"
setting shards retention.bytes 1000000000
expect_exit 2 "neither are shards that go before their time" "$SHOAL" topics check --bus "$bus"
expect_stdout "shards: retention.bytes = 1000000000, should be -1"
setting shards retention.bytes -1
expect_exit 2 "fewer copies than asked for are no good" "$SHOAL" topics check --bus "$bus" --replication 3
expect_stdout "$prefix.jobs: 1 copy, should be 3: kafka-reassign-partitions"
"$E2E_PYTHON" "$E2E_LIB/upstream.py" partitions "$SHOAL_TEST_KAFKA/$prefix" shards 7
expect_exit 2 "somebody else's partitions have no claims" "$SHOAL" list --bus "$bus"
expect_stderr "claims has only 6: .shoal topics create --bus $bus"
expect_exit 2 "which check says as well" "$SHOAL" topics check --bus "$bus"
expect_stdout "claims: 6 partitions, should be 7: .shoal topics create"
expect_exit 0 "create without a number adds them" "$SHOAL" topics create --bus "$bus"
expect_stdout "claims: 7 partitions, were 6"

# ---- a file of properties, in Java's form, names the bus
printf '! none\nbootstrap.servers : %s\nclient.id = shoal-\\\n   test\n' "$SHOAL_TEST_KAFKA" >client.properties
expect_exit 2 "its brokers are the bus, with the usual prefix" env SHOAL_KAFKA_CONFIG=client.properties "$SHOAL" list
expect_stderr "kafka://$SHOAL_TEST_KAFKA: no topic shoal.jobs"
expect_exit 0 "and the brokers of a prefix" env SHOAL_KAFKA_CONFIG=client.properties "$SHOAL" list --bus "kafka:///$prefix"
expect_exit 2 "but not of another bus" env SHOAL_KAFKA_CONFIG=client.properties "$SHOAL" list --bus sqlite:other.db
expect_stderr "other.db: no such bus"
printf 'bootstrap.servers 127.0.0.1:9' >client.properties
expect_exit 0 "a bus with brokers has those" env SHOAL_KAFKA_CONFIG=client.properties "$SHOAL" list --bus "$bus"
expect_exit 0 "a variable goes before the file" env SHOAL_KAFKA_CONFIG=client.properties SHOAL_BUS="$bus" "$SHOAL" list
expect_exit 2 "no bus is named" "$SHOAL" list
expect_stderr "no bus given: use --bus URL, SHOAL_BUS, or bootstrap.servers"

# ---- a job by two workers, next to the same job on this machine
"$SHOAL" run "${job[@]}" --results reference busybox sh -c "$COPY; echo \$SHOAL_SHARD_INDEX" 2>/dev/null
part producer
part worker --slots 2
part worker --slots 2
part merger
expect_exit 0 "submit prints the id" "$SHOAL" submit --bus "$bus" "${job[@]}" --id one --results one busybox sh -c "$COPY; echo \$SHOAL_SHARD_INDEX"
expect_stdout '^one$'
expect_exit 0 "submitted twice it is one job" "$SHOAL" submit --bus "$bus" "${job[@]}" --id one --results one busybox sh -c "$COPY; echo \$SHOAL_SHARD_INDEX"
expect_exit 2 "another job by that id is refused" "$SHOAL" submit --bus "$bus" "${job[@]}" --batch-size 3 --id one --results one busybox sh -c "$COPY; echo \$SHOAL_SHARD_INDEX"
expect_stderr 'job one already exists and differs in --batch-size'
expect_exit 0 "watch ends with the job" "$SHOAL" watch --bus "$bus" one
expect_stderr 'job one succeeded'
expect_true "the same files as on one machine" diff -r reference/outputs one/outputs
expect_true "the same stdout" cmp reference/stdout one/stdout
expect_exit 0 "list knows it" "$SHOAL" list --bus "$bus"
expect_stdout '^one	succeeded	.*	20/20	0	0'
expect_exit 0 "logs of a job, the bus from the environment" env SHOAL_BUS="$bus" "$SHOAL" logs one --shard 3
expect_stdout '^3$'
expect_exit 2 "without a bus its result says whose it is" "$SHOAL" status one
expect_stderr 'of job one on a fleet: name its bus with --bus or SHOAL_BUS'
expect_exit 0 "a result on this machine is found with SHOAL_BUS set" env SHOAL_BUS="$bus" "$SHOAL" status reference
expect_exit 0 "its result is copied" "$SHOAL" get --bus "$bus" one copied
expect_true "as it is" diff -r one/outputs copied/outputs
expect_exit 0 "report of a job" "$SHOAL" report --bus "$bus" one
expect_exit 2 "an unknown job" "$SHOAL" status --bus "$bus" nobody
expect_stderr 'no job nobody'

# ---- failing, retried; what is wrong can't be planned
mkdir world
expect_exit 1 "run on a fleet gives the job's exit code" "$SHOAL" run --bus "$bus" "${job[@]}" --id two --results two --fail-on 3 \
  --volume-shared "$PWD/world:/world" busybox sh -c "[ \$SHOAL_SHARD_INDEX != 5 ] || [ -e /world/good ] || exit 3; $COPY"
expect_stderr 'shard 5: exit code 3'
expect_exit 2 "no match is the submitter's error" "$SHOAL" run --bus "$bus" -v "$PWD/in:/in" --glob '*.none' --id three --results three busybox true
expect_stderr 'job three: .*no'
before=$("$SHOAL" status --bus "$bus" --json two | json attempts) # 20, or more if the machine failed one
expect_exit 1 "a retry is a new generation of what failed, and fails again" "$SHOAL" retry --bus "$bus" two --failed
expect_same "of one shard" 2 "$("$SHOAL" status --bus "$bus" --json two | json generation)"
expect_same "which ran once more" $((before + 1)) "$("$SHOAL" status --bus "$bus" --json two | json attempts)"
expect_exit 0 "it is a dead letter" "$SHOAL" dead list --bus "$bus" --reason failed
expect_stdout '^two/5	failed	.*exit code 3'
expect_exit 0 "of which more is told" "$SHOAL" dead show --bus "$bus" two/5
expect_stdout '^logs +shoal logs two --shard 5$'
expect_exit 2 "all at once only when told so" "$SHOAL" dead replay --bus "$bus"
expect_stderr 'no dead letters selected'
: >world/good
expect_exit 0 "replayed when the cause is gone" "$SHOAL" dead replay --bus "$bus" --job two
expect_exit 0 "the job gets well" "$SHOAL" watch --bus "$bus" -q two
expect_same "no letter is left" 0 "$("$SHOAL" dead list --bus "$bus" --job two | grep -c ^two)"

# ---- cancel
"$SHOAL" submit --bus "$bus" "${job[@]}" --id four --results four --volume-shared "$PWD/world:/world" \
  busybox sh -c "[ -e /world/go ] || sleep 60; $COPY" >/dev/null
wait_for "a shard to run" is_running four
expect_exit 2 "what isn't ended can't be copied" "$SHOAL" get --bus "$bus" four unfinished
expect_stderr "job four has not ended yet: it is running"
expect_exit 0 "cancel ends the job" "$SHOAL" cancel --bus "$bus" four
expect_true "and its state says so" has_state four cancelled
: >world/go
expect_exit 0 "retry runs the rest" "$SHOAL" retry --bus "$bus" four
expect_true "whole in the end" diff -r reference/outputs four/outputs

# ---- a worker killed with its containers: the lease decides
kill "${pids[1]}" "${pids[2]}"
expect_end 0 "SIGTERM ends a worker" "${pids[1]}"
expect_end 0 "and the other" "${pids[2]}"
part worker --slots 3 --lease 2s
victim=${pids[-1]}
"$SHOAL" submit --bus "$bus" "${job[@]}" --id five --results five busybox sh -c "sleep 0.1; $COPY; echo \$SHOAL_SHARD_INDEX" >/dev/null
wait_for "some shards to be done" has_done five 3
kill -9 "$victim"
wait "$victim" 2>/dev/null || true
part worker --slots 3 --lease 2s
expect_exit 0 "another worker takes over" "$SHOAL" watch --bus "$bus" five
expect_true "with the same result" diff -r reference/outputs five/outputs
"$SHOAL" status --bus "$bus" --shards five >shards
expect_same "no shard was started more than twice" 20 "$(grep -c succeeded shards)"

# ---- a merger killed, too
"$SHOAL" submit --bus "$bus" "${job[@]}" --id six --results six busybox sh -c "sleep 0.1; $COPY; echo \$SHOAL_SHARD_INDEX" >/dev/null
wait_for "some shards to be done" has_done six 3
kill -9 "${pids[3]}"
wait "${pids[3]}" 2>/dev/null || true
part merger
E2E_SECONDS=90
wait_for "the job's end" has_state six succeeded
expect_true "another merger makes the same result" diff -r reference/outputs six/outputs

# ---- brokers that aren't there
expect_exit 3 "a command gives up" "$SHOAL" list --bus kafka://127.0.0.1:9 --connect-timeout 1s
expect_stderr '127.0.0.1:9.*timed out.*Connection refused'
expect_one_line
expect_exit 2 "a wrong property is named" "$SHOAL" list --bus "$bus" -X no.such=1
expect_stderr 'no\.such'
