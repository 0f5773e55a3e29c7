#!/bin/bash
# The server that keeps results dies while workers send theirs, and while two mergers publish: who needs it waits, nobody else does, and nothing is lost.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_S3:?is not set: tests/run.sh sets it, deploy/storage/server.sh start minio brings such a server up}"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
server () { bash "$E2E_LIB/../../deploy/storage/server.sh" "$1" minio "$PWD/minio"; } # one of our own: it is killed
pids=()
at_end 'server stop'
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
eval "$(server start)"
export AWS_EC2_METADATA_DISABLED=true SHOAL_STATE_DIR=$PWD/state SHOAL_LOG=info
s3 () { "$E2E_PYTHON" "$E2E_LIB/s3.py" "$@"; }
s3 make results
make_files in 32
E2E_SECONDS=120 # a request to a server that is away is tried for half a minute
job=(-v "file://$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 2 --runtime process)
WORK='for f in /in/*; do cp "$f" /out/; done; dd if=/dev/urandom of=/out/more$SHOAL_SHARD_INDEX bs=1k count=0 seek=2000 2>/dev/null; echo "shard $SHOAL_SHARD_INDEX"; sleep 0.1'
expect_exit 0 "on one machine" "$SHOAL" run "${job[@]}" --results here none sh -c "$WORK"

export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/away-$$-$RANDOM
expect_exit 0 "topics" "$SHOAL" topics create
number=0
part () { # NAME OPTION…; each has a folder of its own for results
  number=$((number + 1))
  SHOAL_STATE_DIR=$PWD/state.$number "$SHOAL" "$@" >/dev/null 2>"$1.$number.err" &
  pids+=($!)
}
submit () { "$SHOAL" submit --id "$1" "${job[@]}" --results "$2" none sh -c "$WORK" >/dev/null; }
counts () { [ "$("$SHOAL" status --json "$1" | json succeeded)" -ge "$2" ]; }
same_as_here () { # WHAT RESULT
  expect_true "$1: outputs" diff -r here/outputs "$2/outputs"
  expect_true "$1: stdout" cmp here/stdout "$2/stdout"
}

# ---- killed twice while attempts are sent
part producer
part worker --slots 2 --backoff 100ms --max-infra 100
part worker --slots 2 --backoff 100ms --max-infra 100
part merger
submit sent s3://results/sent
for done in 2 8; do
  wait_for "shards to be done" counts sent $done
  server stop
  sleep 2
  server start >/dev/null
done
expect_exit 0 "a job whose store was killed while attempts were sent" "$SHOAL" watch sent
expect_exit 0 "… has a result" "$SHOAL" get sent sent
same_as_here "… the same" sent
expect_same "… one attempt of each shard" 16 "$(s3 list s3://results/sent/.shoal/attempts | cut -d/ -f1 | sort -u | wc -l)"

# ---- away when all that is left is publishing, by two mergers
kill -9 "${pids[3]}"
wait "${pids[3]}" 2>/dev/null || true
submit published s3://results/published
ended () { [ "$(cat worker.*.err | grep -c 'event=shard_done job=published .*outcome=succeeded')" = 16 ]; }
wait_for "all shards to be done" ended
server stop
part merger
part merger
wait_for "a merger to miss it" bash -c 'grep -q "event=merge_retry job=published" merger.*.err'
wait_for "status to say so" bash -c '"$1" status published | grep -q "merging failed and is retried: .*s3://results"' - "$SHOAL"
submit local "$PWD/local"
expect_exit 0 "another job isn't held up" "$SHOAL" watch local
same_as_here "… and is right" local
kill -9 "${pids[-1]}" # if it isn't the one that works, the other one is
wait "${pids[-1]}" 2>/dev/null || true
unset 'pids[-1]'
server start >/dev/null
expect_exit 0 "when it is back the job ends" "$SHOAL" watch published
expect_exit 0 "… and has a result" "$SHOAL" get published published
same_as_here "… the same" published
for pid in "${pids[0]}" "${pids[1]}" "${pids[2]}" "${pids[4]}"; do
  kill "$pid"
  expect_end 0 "SIGTERM ends a part" "$pid"
done
pids=()
