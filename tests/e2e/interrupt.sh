#!/bin/bash
# Ctrl-C once, twice, SIGTERM; the same command again and resume go on; kill -9 of parts and of the whole run.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 8

# Each shard says that it began (in the host's folder `began`), and ends when `gate` is there.
mkdir began
WORK='echo x > /began/$SHOAL_SHARD_INDEX.$SHOAL_ATTEMPT.$(cat /proc/sys/kernel/random/uuid)
until [ -e /began/gate ] || [ $SHOAL_SHARD_INDEX -lt 2 ]; do sleep 0.02; done
'$COPY

# In a session of its own, as a terminal would: signals go to the whole group.
job () { # RESULT
  "$SHOAL" run --runtime process -v in:/in -o res:/out --glob '*.txt' --jobs 2 --results "$1" \
    -e BEGAN="$PWD/began" any sh -c "$(sed "s,/began/,$PWD/began/,g" <<<"$WORK")"
}
start () { # RESULT: its process group's id in $group
  rm -rf began
  mkdir began
  as_in_a_terminal setsid bash -c "$(declare -f job); $(declare -p SHOAL WORK); exec 2>err.$1; job $1; exit \$?" </dev/null &
  group=$!
}
began () { [ "$(find began -name "$1.*" | wc -l)" -ge 1 ]; }
interrupt () { kill -INT -- "-$group"; }
says () { grep -q "$2" "err.$1"; }
count_began () { find began -name "$1.*" | wc -l; }
finished () { # RESULT: how many shards have succeeded
  "$SHOAL" status --json "$1" | json succeeded
}

start one
wait_for "shard 2 and 3 to run" eval 'began 2 && began 3'
listed () { "$SHOAL" list --bus "sqlite:$1/.shoal/bus.db" 2>list.err | sed -n 2p | cut -f2,6; }
expect_same "list says that it runs" "running	2" "$(listed one.partial)"
expect_same "… and no more" "" "$(cat list.err)"
interrupt
wait_for "the message" says one "waiting for 2 running shards to finish; press Ctrl-C again to stop them"
ok "the first Ctrl-C lets the running shards end, and says so"
touch began/gate
expect_end 130 "then the run ends with 130" $group
expect_true "and says how to go on" says one "shoal resume $PWD/one"
expect_same "the running shards were finished" 4 "$(finished one)"
expect_same "no other shard was begun" 0 "$(count_began 4)"
expect_exit 0 "status of an interrupted run" "$SHOAL" status one
expect_stdout "is unfinished and not running"
expect_stdout "shoal resume"
expect_exit 0 "resume goes on" "$SHOAL" resume one
expect_same "… to the whole result" 8 "$(ls one/outputs/res | wc -l)"
expect_same "… without running a finished shard again" 1 "$(count_began 2)"

start two
wait_for "shard 2 and 3 to run" eval 'began 2 && began 3'
interrupt
wait_for "the first message" says two "press Ctrl-C again to stop them"
interrupt
expect_end 130 "the second Ctrl-C stops the containers" $group
expect_true "and says so" says two "stopping the containers"
expect_same "what was finished stays finished" 2 "$(finished two)"
touch began/gate
expect_exit 0 "the same command again goes on" job two
expect_same "… to the whole result" 8 "$(ls two/outputs/res | wc -l)"
expect_same "… without running a finished shard again" 1 "$(count_began 0)"

start three
wait_for "shard 2 and 3 to run" eval 'began 2 && began 3'
kill -TERM "$(pgrep -g "$group" -f 'shoal run')"
expect_end 130 "SIGTERM stops the containers at once" $group
touch began/gate
expect_exit 0 "resume goes on" "$SHOAL" resume three

start four
wait_for "shard 2 and 3 to run" eval 'began 2 && began 3'
pgrep -g "$group" -f ' worker --bus' | xargs kill -9
pgrep -g "$group" -f ' merger --bus' | xargs kill -9
wait_for "the worker's restart" eval '[ "$(count_began 2)" -ge 2 ]'
touch began/gate
expect_end 0 "killed parts are started again" $group
expect_true "and it says so" says four "the worker was killed by signal 9; restarting it"
expect_same "shards that were finished weren't run again" 1 "$(count_began 0)"

# As after the machine's failure: no shard is to blame, however often that happens.
start often
for round in 1 2 3 4; do
  wait_for "shard 2 and 3 to run" eval '[ "$(count_began 2)" -ge $round ] && [ "$(count_began 3)" -ge $round ]'
  kill -9 -- "-$group"
  wait_for "the processes to be gone" eval '! pgrep -g "$group" >/dev/null'
  as_in_a_terminal setsid "$SHOAL" resume often </dev/null 2>>err.often &
  group=$!
done
touch began/gate
expect_end 0 "a run that was killed four times with all that it started ends well" $group
expect_same "… with the whole result" 8 "$(ls often/outputs/res | wc -l)"

start five
wait_for "shard 2 and 3 to run" eval 'began 2 && began 3'
expect_exit 2 "a second run on a result in use" "$SHOAL" resume five
expect_stderr "in use by process $(pgrep -g "$group" -f 'shoal run')"
expect_one_line
expect_exit 0 "status of a running job" "$SHOAL" status five
expect_stdout "is running \(process $(pgrep -g "$group" -f 'shoal run')\)"
pgrep -g "$group" -f 'shoal run' | xargs kill -9
wait_for "the parts to be gone" eval '! pgrep -g "$group" -f "[-]-bus" >/dev/null'
expect_same "list says that nobody works on a killed run" "unfinished	0" "$(listed five.partial)"
expect_same "… and how it goes on" "shoal: unfinished and not running: shoal resume $PWD/five" "$(cat list.err)"
expect_same "… as JSON" "True 0" "$("$SHOAL" list --json --bus "sqlite:five.partial/.shoal/bus.db" | tee list.json | json unfinished) $(json running <list.json)"
touch began/gate
expect_exit 0 "a killed run is resumed" "$SHOAL" resume five/
expect_same "… to the whole result" 8 "$(ls five/outputs/res | wc -l)"
expect_same "… without running a finished shard again" 1 "$(count_began 1)"
