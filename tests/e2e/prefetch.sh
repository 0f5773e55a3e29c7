#!/bin/bash
# Inputs of the next shard are fetched while another one runs: what is ahead waits for its place, and is given back when the worker goes or the job is paused.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
export SHOAL_LOG=info
make_files in 6
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true'
part () { # NAME LOG OPTION…
  "$SHOAL" "$1" --bus "sqlite:$PWD/bus.db" "${@:3}" >/dev/null 2>"$2" &
  pids+=($!)
}
submit () { # JOB COMMAND
  "$SHOAL" submit --bus "sqlite:$PWD/bus.db" --id "$1" --results "of-$1" --retries 0 --runtime process -v in:/in -o res:/out --glob '*.txt' none sh -c "$2" >/dev/null
}
has_state () { [ "$("$SHOAL" status --bus "sqlite:$PWD/bus.db" --json "$1" | json state)" = "$2" ]; }

has_staged_two () { set -- "$1".partial/.shoal/tmp/*.scratch/in/0/*.txt; [ $# = 2 ]; }

# Each shard but the last waits until another one's inputs come, and no two run at once.
alone='mkdir '$PWD'/lock || exit 9
i=0
until set -- '$PWD'/of-JOB.partial/.shoal/tmp/*.scratch/in/0/*.txt; [ $# -ge 2 ] || [ "$SHOAL_SHARD_INDEX" = 5 ]; do
  i=$((i + 1)); [ $i -lt TRIES ] || { rmdir '$PWD'/lock; exit 8; }; sleep 0.05
done
sleep 0.1; rmdir '$PWD'/lock'
part producer producer.log
part merger merger.log
part worker ahead.log --jobs 1 --prefetch-bytes 1m
alone_in () { local text=${alone//JOB/$1}; printf '%s' "${text//TRIES/$2}"; }
submit ahead "$(alone_in ahead 400)"
wait_for "the job's end" has_state ahead succeeded
expect_same "six shards were started once" 6 "$(grep -c event=shard_started ahead.log)"
kill "${pids[2]}"
expect_end 0 "SIGTERM ends the worker" "${pids[2]}"
pids=("${pids[@]:0:2}")

part worker none.log --jobs 1
submit none "$(alone_in none 10)"
wait_for "the job's end" has_state none failed
expect_true "without it nothing is fetched ahead" grep -q 'shard=0 .*outcome=failed exit=8' none.log
kill "${pids[2]}"
expect_end 0 "SIGTERM ends the worker" "${pids[2]}"
pids=("${pids[@]:0:2}")

# What is ahead when the worker is told to go is another one's at once; its start doesn't count.
part worker leaving.log --jobs 1 --prefetch-bytes 1m
submit left "until [ -e $PWD/go ]; do sleep 0.05; done"
wait_for "a shard ahead" has_staged_two of-left
expect_same "only one of them runs" 1 "$(grep -c event=shard_started leaving.log)"
kill "${pids[2]}"
wait_for "the other one to be given back" grep -q 'event=shard_released job=left shard=1' leaving.log
part worker taking.log --jobs 1
wait_for "it to be taken" grep -q 'event=shard_started job=left shard=1 generation=1 attempt=1 starts=1' taking.log
touch go
wait_for "the job's end" has_state left succeeded
expect_end 0 "SIGTERM ended the worker" "${pids[2]}"
pids=("${pids[@]:0:2}" "${pids[3]}")

kill "${pids[2]}"
expect_end 0 "SIGTERM ends the worker" "${pids[2]}"
pids=("${pids[@]:0:2}")
# What is ahead of a job that is paused is given back as well, and runs when that goes on.
touch stay
part worker pausing.log --jobs 1 --prefetch-bytes 1m
submit held "while [ -e $PWD/stay ]; do sleep 0.05; done"
wait_for "a shard ahead" has_staged_two of-held
expect_exit 0 "a pause" "$SHOAL" pause --bus "sqlite:$PWD/bus.db" held
wait_for "it to be given back" grep -q 'event=shard_released job=held shard=1' pausing.log
rm stay
wait_for "what ran to end" grep -q 'event=shard_done job=held shard=0' pausing.log
expect_same "nothing else started" 1 "$(grep -c 'event=shard_started job=held' pausing.log)"
expect_exit 0 "it goes on" "$SHOAL" resume --bus "sqlite:$PWD/bus.db" held
wait_for "the job's end" has_state held succeeded
kill "${pids[2]}"
expect_end 0 "SIGTERM ends the worker" "${pids[2]}"
pids=("${pids[@]:0:2}")

touch stay
submit cancelled "while [ -e $PWD/stay ]; do sleep 0.05; done"
part worker cancelling.log --jobs 1 --prefetch-bytes 1m
wait_for "a shard ahead" has_staged_two of-cancelled
expect_exit 0 "a cancel" "$SHOAL" cancel --bus "sqlite:$PWD/bus.db" cancelled
wait_for "the job's end" has_state cancelled cancelled
expect_same "ends both" 2 "$(grep -c 'event=shard_done job=cancelled .*outcome=cancelled' cancelling.log)"
expect_exit 2 "a size that is none" "$SHOAL" worker --bus "sqlite:$PWD/bus.db" --prefetch-bytes much
expect_stderr '--prefetch-bytes: "much" is not a size'
