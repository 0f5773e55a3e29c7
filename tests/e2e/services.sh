#!/bin/bash
# The three parts as processes of their own, on one bus: started in any order, several workers, SIGTERM.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 40
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true'

# A job on a bus that nobody serves: `run` whose own parts are stopped with it before they begin.
submit () { # RESULT
  "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --results "$1" --id "$1" --jobs 1 busybox \
    sh -c "$COPY; echo \$SHOAL_SHARD_INDEX; sleep 0.02" >/dev/null 2>run.err &
  local pid=$!
  wait_for "the job to be submitted" sh -c '"$1" status "$2"' - "$SHOAL" "$1"
  kill -9 $pid
  wait $pid 2>/dev/null || true
  wait_for "its parts to be gone" sh -c '! pgrep -f "[-]-job $1 " >/dev/null' - "$1"
}
part () { # NAME OPTION…
  "$SHOAL" "$@" >"$1.out" 2>"$1.err" &
  pids+=($!)
}
state () { "$SHOAL" status --json "$1" | json state; }
has_state () { [ "$(state "$1")" = "$2" ]; }
end_parts () { # with SIGTERM, all exit 0
  local pid
  kill "${pids[@]}"
  for pid in "${pids[@]}"; do expect_end 0 "SIGTERM ends a part" "$pid"; done
  pids=()
}

"$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --results reference busybox sh -c "$COPY; echo \$SHOAL_SHARD_INDEX" 2>/dev/null

submit one
bus=sqlite:$PWD/one.partial/.shoal/bus.db
part producer --bus "$bus"
part worker --bus "$bus" --jobs 1
part worker --bus "$bus" --jobs 1
part merger --bus "$bus"
wait_for "the job's end" has_state one succeeded
expect_true "producer, two workers, merger make the same result" diff -r reference/outputs one/outputs
expect_true "and the same stdout" cmp reference/stdout one/stdout
end_parts

submit two
export SHOAL_BUS=sqlite:$PWD/two.partial/.shoal/bus.db
part merger
part worker --jobs 2 --job two
worker=${pids[1]}
part producer
wait_for "the job's end" has_state two succeeded
expect_true "in another order, the bus from the environment" diff -r reference/outputs two/outputs
expect_end 0 "a worker of one job ends with it" "$worker"
pids=("${pids[0]}" "${pids[2]}")
end_parts

submit three
export SHOAL_BUS=sqlite:$PWD/three.partial/.shoal/bus.db
part producer
part worker --jobs 2
first=${pids[1]}
wait_for "some shards to be finished" sh -c '[ "$("$1" status --json three | python3 -c "import json,sys; print(json.load(sys.stdin)[\"succeeded\"])")" -ge 3 ]' - "$SHOAL"
kill -9 "$first"
part worker --jobs 2
part merger
pids=("${pids[0]}" "${pids[@]:2}")
wait_for "the job's end" has_state three succeeded
expect_true "a killed worker's shards are run by another" diff -r reference/outputs three/outputs
end_parts

# No service runs: there is no result folder of this name yet, but a job on the bus of the environment.
export SHOAL_BUS=sqlite:$PWD/three/.shoal/bus.db
expect_exit 0 "a job waits for its producer" "$SHOAL" submit --id later --results later -v in:/in -o res:/out --glob '*.txt' busybox true
expect_exit 0 "and is known by its id" "$SHOAL" status later
expect_stdout "later"
expect_exit 2 "a name that is neither" "$SHOAL" status never
expect_stderr "never: no such result"

expect_exit 0 "worker --probe" "$SHOAL" worker --probe
expect_stdout "^oci: "
