#!/bin/bash
# image remove: not while a job of this machine needs the image.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
own_store busybox
cp -r "$layout" other
umoci config --image other:latest --config.env MADE_BY=other
make_files in 2
"$SHOAL" image import "$layout" --as tool
count () { find "store/$1" -mindepth 1 -maxdepth 1 | wc -l; }

# ---- while it runs
"$SHOAL" run -q --id first -v in:/in -o o:/out --results r tool sh -c 'until [ -e /in/f001.go ]; do sleep 0.1; done' &
job=$!
at_end 'kill -9 $job 2>/dev/null || true'
wait_for "its shard" eval '[ "$("$SHOAL" status --json r | json running)" -gt 0 ]'
expect_exit 2 "remove while a job runs with it" "$SHOAL" image remove tool
expect_stderr 'image "tool:latest" is needed by job first, which runs on this machine|is needed by job first, whose result .*/r.partial isn.t finished'
expect_one_line
"$SHOAL" image import other --as tool
"$SHOAL" image import other --as spare
expect_exit 0 "remove of another name" "$SHOAL" image remove spare
expect_same "an image without a name stays while a job needs it" 2 "$(count images)"

# ---- between an interruption and the end
kill -9 $job
wait_for "the job's end" e2e_gone $job
wait_for "the end of its slots" eval '! grep -rqs busy store/uses || flock -n store/uses/[0-9]*.0 true'
"$SHOAL" image import "$layout" --as tool
expect_exit 2 "remove while its result isn't finished" "$SHOAL" image remove tool
expect_stderr "needed by job first, whose result $PWD/r.partial isn't finished"
mv r.partial elsewhere.partial
mkdir r.partial
expect_exit 0 "remove when another folder is there" "$SHOAL" image remove tool
rm -r r.partial
mv elsewhere.partial r.partial
expect_exit 2 "the job needs it" "$SHOAL" resume -q r
expect_stderr 'image "tool" isn.t in the local store'
"$SHOAL" image import "$layout" --as tool

# ---- when it has ended, or by force
"$SHOAL" run -q -v in:/in -o o:/out --results done tool true
expect_exit 0 "remove after a job that succeeded" "$SHOAL" image remove tool
"$SHOAL" image import "$layout" --as tool
expect_exit 1 "a job fails" "$SHOAL" run -q --id second --retries 0 -v in:/in -o o:/out --results failed tool false
expect_exit 2 "remove while it can be run again" "$SHOAL" image remove tool
expect_stderr "needed by job second, whose result $PWD/failed.partial isn't finished"
expect_exit 0 "remove --force" "$SHOAL" image remove --force tool
expect_same "nothing is left of it" 0 "$(count images)"

# ---- a worker of a fleet
rm -r r.partial failed.partial
"$SHOAL" image import "$layout" --as tool
export SHOAL_BUS=sqlite:$PWD/fleet.db
"$SHOAL" producer 2>producer.err &
at_end "kill -9 $! || true"
wait_for "the bus" test -s fleet.db
"$SHOAL" submit --id third --results "$PWD/fleet" -v "$PWD/in:/in" -o o:/out tool sh -c 'until [ -e /in/f001.go ]; do sleep 0.1; done'
"$SHOAL" worker --slots 1 2>worker.err &
worker=$!
at_end 'kill -9 $worker 2>/dev/null || true'
wait_for "its shard" grep -rq third store/uses
expect_exit 2 "remove while a worker runs it" "$SHOAL" image remove tool
expect_stderr "needed by job third, which runs on this machine"
kill -9 $worker
wait_for "nothing of the worker is left" eval '"$SHOAL" image remove tool'
ok "remove after the worker was killed"
expect_same "no note is left" 0 "$(count uses)"

# ---- notes don't gather
unset SHOAL_BUS
"$SHOAL" image import "$layout" --as tool
for n in 1 2 3; do
  "$SHOAL" run -q --id "ends$n" -v in:/in -o o:/out --results "ends$n" tool true
done
"$SHOAL" run -q --id killed -v in:/in -o o:/out --results killed tool sleep 600 &
job=$!
wait_for "its slot's note" eval 'grep -qs "^killed$" store/uses/[0-9]*'
kill -9 $(pgrep -P $job) $job
wait $job 2>/dev/null || true
wait_for "the end of its slots" eval 'flock -n store/uses/[0-9]*.0 true'
"$SHOAL" run -q --id last -v in:/in -o o:/out --results last tool true
expect_same "of all jobs those are noted that aren't finished, and the last one" "killed last" \
  "$(sed -n 2p store/uses/job.* -s | sort | paste -sd ' ')"
expect_same "no killed slot is noted" "" "$(cat store/uses/[0-9]* 2>/dev/null | grep -x killed)"
