#!/bin/bash
# Planned stops of workers: what they have is given back in time or excused, their slots live on, and workers that end by themselves.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 1
make_files many 6
export SHOAL_BUS=sqlite:$PWD/bus.db

submit () { # ID FOLDER SCRIPT
  "$SHOAL" submit --id "$1" -v "$PWD/$2:/in" --glob '*.txt' --runtime process --results "$PWD/$1" x sh -c "$3" >/dev/null
}
began () { [ "$(cat began 2>/dev/null | wc -l)" -ge "$1" ]; }
has_state () { [ "$("$SHOAL" status --json "$1" | json state)" = "$2" ]; }
logged () { grep -q "$2" "$1.err"; } # LOG REGEX
# A worker that takes the shard that waits for the gate, and is then killed, after SIGTERM if WITH is TERM. Its lease is over at once on a bus of one machine.
lose_worker () { # NUMBER WITH
  start_service "loser$1" worker --jobs 1 --drain-timeout unlimited
  wait_for "worker $1 to begin" began "$1"
  if [ "$2" = TERM ]; then
    kill -TERM $last
    wait_for "worker $1 to know" logged "loser$1" 'event=draining why=stopped'
  fi
  kill -9 $last
  wait $last 2>/dev/null || true
}
# The place of a shard's command: it says that it began, then waits.
WAIT="echo >>'$PWD/began'; until [ -e '$PWD/gate' ]; do sleep 0.05; done"

start_service producer producer
start_service merger merger

# ---- losses
submit planned in "$WAIT"
for i in 1 2 3 4; do lose_worker $i TERM; done
start_service saver worker --jobs 1
wait_for "the shard to begin once more" began 5
touch gate
expect_exit 0 "a shard survives four workers that were stopped and killed" timeout $E2E_SECONDS "$SHOAL" watch -q planned
kill $last
expect_end 0 "SIGTERM ends an idle worker" $last
rm began gate

submit crashed in "$WAIT"
for i in 1 2 3; do lose_worker $i KILL; done
start_service fourth worker --jobs 1
wait_for "the end" has_state crashed failed
expect_exit 0 "one that killed three is given up" "$SHOAL" dead list --job crashed
expect_stdout 'worker_lost: 3 workers died'
# No folder of an attempt says why: it is told wherever people look.
lost='worker_lost: 3 workers died or lost their lease while running this shard'
expect_true "the manifest says why" grep -q "\"reason\":\"$lost\"" crashed.partial/manifest.json
expect_true "… and report.html" grep -q "$lost" crashed.partial/report.html
expect_exit 0 "… and the logs of what failed" "$SHOAL" logs --failed crashed
expect_stdout "^==> shard 0: $lost \\(infra, "
expect_exit 0 "… also when they are followed" timeout $E2E_SECONDS "$SHOAL" logs --failed -f crashed
expect_stdout "^==> shard 0: $lost \\(infra, "
expect_exit 0 "… and each shard's line" "$SHOAL" status --shards crashed
expect_stdout "^0	failed	1	infra	-1	$lost$"
kill $last
expect_end 0 "its fourth worker ends" $last
rm began

submit mixed in "$WAIT"
lose_worker 1 KILL
lose_worker 2 TERM
lose_worker 3 KILL
start_service saver worker --jobs 1
wait_for "the shard to begin once more" began 4
touch gate
expect_exit 0 "two crashes and a stop are two losses" timeout $E2E_SECONDS "$SHOAL" watch -q mixed
kill $last
expect_end 0 "SIGTERM ends it" $last
rm began gate

# ---- how long a stop takes
for case in ":25000ms" "30s:25000ms" "60:55000ms" "4s:2000ms" "unlimited:unlimited"; do
  SHOAL_STOP_GRACE=${case%%:*} start_service "grace" worker --jobs 1
  wait_for "the worker" logged grace event=worker_ready
  kill $last
  expect_end 0 "SHOAL_STOP_GRACE=${case%%:*}: a worker that is idle ends" $last
  expect_true "… and would have given back after ${case#*:}" logged grace "drain_timeout=${case#*:}$"
done
SHOAL_STOP_GRACE=soon expect_exit 2 "a grace that isn't one" "$SHOAL" worker
expect_stderr 'SHOAL_STOP_GRACE: "soon" is neither a duration .* nor "unlimited"'
expect_one_line
expect_exit 2 "a drain timeout that isn't one" "$SHOAL" worker --drain-timeout never
expect_stderr '--drain-timeout: "never" is neither a duration .* nor "unlimited"'

submit short in "$WAIT"
SHOAL_STOP_GRACE=2s start_service short worker --jobs 1
wait_for "the shard" began 1
kill $last
expect_end 0 "a worker ends within its grace" $last
expect_true "and gives its shard back" logged short 'event=shard_released'
rm began

# ---- SIGTERM to all processes, as systemd does by default
start_service group worker --jobs 1 --drain-timeout unlimited
wait_for "the shard" began 1
kill $last $(pgrep -P $last)
wait_for "the worker to know" logged group 'event=draining'
touch gate
expect_end 0 "SIGTERM to slots as well lets the shard end" $last
expect_true "which ends well" logged group 'event=shard_done .*outcome=succeeded'
expect_exit 0 "as its job" timeout $E2E_SECONDS "$SHOAL" watch -q short
rm began gate
submit killed in "$WAIT"
start_service killed worker --jobs 1 --drain-timeout unlimited
wait_for "the shard" began 1
slots=$(pgrep -P $last)
kill $last
wait_for "the worker to know" logged killed 'event=draining'
kill -9 $slots
expect_end 0 "a slot killed behind SIGTERM" $last
expect_true "gives its shard back, uncounted" logged killed 'event=shard_released'
rm began
start_service told worker --jobs 1 --drain-timeout unlimited
wait_for "the shard" began 1
kill $last
wait_for "the worker to know" logged told 'event=draining'
kill $(pgrep -f "^sh -c echo >>'$PWD/began'")
expect_end 0 "a command that ends by SIGTERM with its worker" $last
expect_true "hasn't failed" logged told 'event=shard_released'
touch gate

# ---- workers that end by themselves
start_service idle worker --jobs 1 --idle-timeout 500ms
expect_exit 0 "an idle worker's last shard" timeout $E2E_SECONDS "$SHOAL" watch -q killed
expect_end 0 "--idle-timeout ends it" $last
expect_true "and it says why" logged idle 'event=draining why=idle'
expect_true "but not before it had done what there was" logged idle event=shard_done
submit long in 'sleep 1.5'
start_service long worker --jobs 2 --idle-timeout 500ms
expect_exit 0 "a shard that takes longer isn't idleness" timeout $E2E_SECONDS "$SHOAL" watch -q long
expect_end 0 "and then it ends as well" $last

submit limited many 'cat in/*'
start_service limited worker --jobs 2 --max-shards 3
expect_end 0 "--max-shards ends a worker" $last
expect_same "after so many" 3 "$(grep -c event=shard_done limited.err)"
expect_true "and it says why" logged limited 'event=draining why=max-shards'
start_service ahead worker --jobs 1 --max-shards 2 --prefetch-bytes 1g
expect_end 0 "also one that fetches ahead" $last
expect_same "which counts what it ran" 2 "$(grep -c event=shard_done ahead.err)"
start_service rest worker --jobs 1
expect_exit 0 "others do the rest" timeout $E2E_SECONDS "$SHOAL" watch -q limited
expect_exit 2 "--max-shards 0" "$SHOAL" worker --max-shards 0
expect_stderr '--max-shards'
