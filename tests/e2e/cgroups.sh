#!/bin/bash
# Control groups: slots that start all at once keep theirs, with limits in force; none is left when a run ends, however it does; the next start
# removes what a run left that was killed as a whole. SHOAL_ROUNDS: how often the many start (3); SHOAL_SLOTS: how many
# they are (64).
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

# ---- a command without a container has limits, too
make_files one 1
expect_exit 0 "--runtime process in little memory" "$SHOAL" run --quiet -v one:/in -o out:/out --runtime process --memory 20m --results small none true
expect_exit 1 "… and one that wants more" "$SHOAL" run --quiet -v one:/in -o out:/out --runtime process --memory 20m --retries 0 --results big none \
  sh -c 'tail /dev/zero'
expect_stderr "shard 0: out of memory"

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
slots=${SHOAL_SLOTS:-64}
make_files many "$slots"
many () { # RESULT
  "$SHOAL" run --quiet -v many:/in -o out:/out --glob '*' -j "$slots" --memory 200m --retries 0 --results "$1" busybox true
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
  expect_same "round $round: two runs of $slots slots each that start at once, all with their limits" 2 $good
  infra=$(cat many?/.shoal/attempts/*/attempt.json many?/shards/*/attempt.json 2>/dev/null | grep -c '"infra"' || true)
  expect_same "round $round: no attempt had to be repeated" 0 "$infra"
  rm -rf many?
done

# ---- nothing is left by those who can still say good-bye
for how in end INT TERM HUP WORKER; do
  rm -rf gates result
  mkdir gates
  as_in_a_terminal setsid "$SHOAL" run --quiet -v many:/in -o out:/out --glob 'f00[1-6]*' -j 3 --memory 200m --results result \
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
  as_in_a_terminal "$SHOAL" worker --bus "sqlite:$PWD/bus.$how" -j 2 >worker.$how 2>&1 &
  worker=$!
  "$SHOAL" producer --bus "sqlite:$PWD/bus.$how" >/dev/null 2>&1 &
  producer=$!
  "$SHOAL" submit --bus "sqlite:$PWD/bus.$how" -v "$PWD/many:/in" -o out:/out --glob 'f00[1-2]*' --results "$PWD/service.$how" \
    busybox sleep 1 >/dev/null
  wait_for "$how: a worker's slots have groups" eval '[ "$(groups $worker | grep -vc probe)" -ge 2 ]'
  kill -$how $worker
  wait_for "$how: the worker's end" e2e_gone $worker
  wait $worker || true
  kill -9 $producer
  wait $producer 2>/dev/null || true
  expect_true "$how: a worker that ends leaves no control group" none_of $worker
done
as_in_a_terminal "$SHOAL" worker --bus "sqlite:$PWD/bus.early" >worker.early 2>&1 &
worker=$!
wait_for "a container is tried" eval '[ -n "$(groups $worker)" ]'
kill -TERM $worker
wait_for "the worker's end" e2e_gone $worker
wait $worker || true
expect_true "nor does one that ends while it tries a container" none_of $worker

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

# ---- a job's limits aren't the slot's
SHOAL_LOG=info "$SHOAL" worker --bus "sqlite:$PWD/bus.limits" -j 1 >worker.limits 2>&1 &
worker=$!
services=()
for service in producer merger; do
  "$SHOAL" $service --bus "sqlite:$PWD/bus.limits" >$service.limits 2>&1 &
  services+=($!)
done
limited () { # RESULT OPTION…
  local id
  id=$("$SHOAL" submit --bus "sqlite:$PWD/bus.limits" -v "$PWD/one:/in" -o out:/out --retries 0 --results "$PWD/limited.$1" "${@:2}")
  "$SHOAL" watch --bus "sqlite:$PWD/bus.limits" -q "$id" >watch.out 2>&1
}
ended_by_memory () { find "$1"* -name attempt.json -exec grep -h '"outcome"' {} + | grep -q '"oom"'; }
limited first busybox true
slot=$(pgrep -P $worker -f 'shoal slot')
fill='head -c 200000000 /dev/zero >/memory/file; echo not reached'
expect_exit 1 "memory in files beyond a job's limit" limited tmpfs --memory 64m --tmpfs /memory:size=400m busybox sh -c "$fill; exit 0"
expect_true "… is said to be what ended it" ended_by_memory limited.tmpfs
expect_exit 1 "so is a full /dev/shm" limited shm --memory 64m --shm-size 400m busybox sh -c "${fill//memory/dev/shm}; exit 0"
expect_true "… is said to be what ended it" ended_by_memory limited.shm
expect_exit 0 "10,000 outputs with little processor time and memory" limited many --memory 16m --cpus 0.5 busybox \
  sh -c 'cd /out && seq 10000 | xargs -n 500 touch'
expect_same "… are all there" 10000 "$(ls limited.many/outputs/out | wc -l)"
expect_same "the slot is the one that it was" "$slot" "$(pgrep -P $worker -f 'shoal slot')"
expect_true "… and in no group of a job's" sh -c "! grep -q /slot- /proc/$slot/cgroup"
kill -TERM $worker "${services[@]}"
wait $worker "${services[@]}" || true

# ---- a slot outlives its worker for longer than the next worker needs to start
parent=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
[ ! -d /sys/fs/cgroup/pids/shoal ] || parent=/sys/fs/cgroup/pids/shoal
held=$parent/slot-1-0-0000dead
mkdir "$held"
exec 9<"$held"
flock -x 9
SHOAL_LOG=info "$SHOAL" worker --bus "sqlite:$PWD/bus.held" -j 1 >worker.held 2>&1 9<&- &
worker=$!
wait_for "the worker is ready" grep -q worker_ready worker.held
expect_true "a group that another process holds stays" [ -d "$held" ]
exec 9<&-
wait_for "the end of a group that nobody holds any more" [ ! -d "$held" ]
expect_true "a worker that goes on removes it then" [ ! -d "$held" ]
kill -TERM $worker
wait $worker || true

# ---- a runtime that is killed when it is asked for its version is no reason to take another one
mkdir programs
cat >programs/crun <<END
#!/bin/sh
ln -sf "$(command -v crun)" "\$0"
kill -9 \$\$
END
chmod +x programs/crun
PATH=$PWD/programs:$PATH expect_exit 0 "a job with limits, whose first runtime is killed" \
  "$SHOAL" run --backoff 20ms -v one:/in -o out:/out --memory 200m --results killed busybox true
expect_true "… was asked for its version" [ -L programs/crun ]
expect_stderr "1 of 1 succeeded"
