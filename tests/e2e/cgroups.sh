#!/bin/bash
# Control groups: slots that start all at once keep theirs, with limits in force; none is left when a run ends, however it does; the next start
# removes what a run left that was killed as a whole. SHOAL_ROUNDS: how often the many start (3).
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox

# What --memory needs isn't there on each host; what is said then is tested by integration.worker.container.
make_files one 1
if ! "$SHOAL" run --quiet -v one:/in -o out:/out --memory 200m --results probe busybox true 2>probe.err; then
  grep -q "can't be enforced" probe.err || { cat probe.err >&2; exit 1; }
  echo "SKIPPED: no control groups here: $(tail -1 probe.err)"
  expect_true "that there are none is said" grep -q "can't be written to" probe.err
  exit
fi

# groups PID…: the groups of these workers' slots.
groups () {
  local pid
  for pid; do
    find /sys/fs/cgroup -maxdepth 4 -type d \( -name "slot-$pid-*" \) 2>/dev/null || true
  done
}
none_of () { [ -z "$(groups "$@")" ]; }
workers_of () { # PID of a `shoal run`
  pgrep -P "$1" -f ' worker ' || true
}

# ---- many at once
make_files many 64
many () { # RESULT
  "$SHOAL" run --quiet -v many:/in -o out:/out --glob '*' -j 64 --memory 200m --retries 0 --results "$1" busybox true
}
for ((round = 1; round <= ${SHOAL_ROUNDS:-3}; round++)); do
  pids=()
  for side in 1 2; do
    many "many$side" >"many$side.out" 2>&1 &
    pids+=($!)
  done
  good=0
  for pid in "${pids[@]}"; do wait "$pid" && good=$((good + 1)); done
  [ $good -eq 2 ] || { cat many?.out; grep -rho '"reason":"[^"]*"' many?/ | sort | uniq -c; } >&2
  expect_same "round $round: two runs of 64 slots each that start at once, all with their limits" 2 $good
  infra=$(cat many?/.shoal/attempts/*/attempt.json many?/shards/*/attempt.json 2>/dev/null | grep -c '"infra"' || true)
  expect_same "round $round: no attempt had to be repeated" 0 "$infra"
  rm -rf many?
done

# ---- nothing is left by those who can still say good-bye
for how in end INT TERM HUP WORKER; do
  rm -rf gates result
  mkdir gates
  setsid "$SHOAL" run --quiet -v many:/in -o out:/out --glob 'f00[1-6]*' -j 3 --memory 200m --results result \
    --volume-shared "$PWD/gates:/gates" busybox sh -c 'until [ -e /gates/open ]; do sleep 0.05; done' >out.$how 2>&1 &
  run=$!
  wait_for "$how: slots work" eval '[ "$(groups $(workers_of $run) | wc -l)" -ge 3 ]'
  mapfile -t workers < <(workers_of $run)
  case $how in
    end) touch gates/open ;;
    WORKER)
      kill -9 "${workers[0]}"
      wait_for "another worker" eval '[ -n "$(workers_of $run)" ] && [ "$(workers_of $run)" != "${workers[0]}" ]'
      mapfile -O 1 -t workers < <(workers_of $run)
      touch gates/open
      ;;
    INT) kill -INT $run; sleep 0.2; kill -INT $run ;;
    *) kill -$how $run ;;
  esac
  wait_for "$how: the end of the run" e2e_gone $run || kill -9 $run
  wait $run || true
  expect_true "$how: no control group is left" none_of "${workers[@]}"
done

# ---- a service
for how in TERM QUIT HUP; do
  "$SHOAL" worker --bus "sqlite:$PWD/bus.$how" -j 2 >worker.$how 2>&1 &
  worker=$!
  "$SHOAL" producer --bus "sqlite:$PWD/bus.$how" >/dev/null 2>&1 &
  producer=$!
  "$SHOAL" submit --bus "sqlite:$PWD/bus.$how" -v "$PWD/many:/in" -o out:/out --glob 'f00[1-2]*' --results "$PWD/service.$how" \
    busybox sleep 1 >/dev/null
  wait_for "$how: a worker's slots have groups" eval '[ "$(groups $worker | wc -l)" -ge 2 ]'
  kill -$how $worker
  wait_for "$how: the worker's end" e2e_gone $worker
  wait $worker || true
  kill -9 $producer
  wait $producer 2>/dev/null || true
  expect_true "$how: a worker that ends leaves no control group" none_of $worker
done

# ---- everything is killed at once
rm -rf gates result
mkdir gates
setsid "$SHOAL" run --quiet -v many:/in -o out:/out --glob 'f00[1-6]*' -j 3 --memory 200m --results result \
  --volume-shared "$PWD/gates:/gates" busybox sh -c 'until [ -e /gates/open ]; do sleep 0.05; done' >out.kill 2>&1 &
run=$!
wait_for "slots work" eval '[ "$(groups $(workers_of $run) | wc -l)" -ge 3 ]'
mapfile -t workers < <(workers_of $run)
kill -9 -- -$run
wait $run 2>/dev/null || true
wait_for "its slots die" eval '! pgrep -f "shoal slot" -P "${workers[0]}"'
rm -rf swept
wait_for "the next run removes what is left" eval \
  'rm -rf swept; "$SHOAL" run --quiet -v one:/in -o out:/out --results swept busybox true && none_of "${workers[@]}"'
expect_true "the next start removed what the killed run had left" none_of "${workers[@]}"
