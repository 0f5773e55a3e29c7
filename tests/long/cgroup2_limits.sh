#!/bin/bash
# What a job's limits do under version 2 of control groups, where a worker has a group of its own: as a systemd unit with Delegate=yes has, one of a user
# who isn't root, and a container with a namespace of groups. For cgroup2.sh's machine; SHOAL_OUTPUTS: how many files the largest job makes (300000).
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
E2E_SECONDS=1200 # this machine is computed
groups=/sys/fs/cgroup
[ "$(stat -f -c %T $groups)" = cgroup2fs ] || { echo "$groups isn't cgroup2"; exit 1; }
outputs=${SHOAL_OUTPUTS:-300000}
make_files in 1
echo "+memory +pids +cpu" >$groups/cgroup.subtree_control
mkdir $groups/units
echo "+memory +pids +cpu" >$groups/units/cgroup.subtree_control

# unit NAME COMMAND…: becomes it in a group of its own, which is new if nothing runs in it, as systemd makes them.
unit () {
  rmdir "$groups/units/$1/shoal-worker" "$groups/units/$1" 2>/dev/null || true
  mkdir -p "$groups/units/$1"
  [ "$1" != user ] || chown 65534:65534 "$groups/units/$1" "$groups/units/$1"/cgroup.{procs,threads,subtree_control}
  echo $BASHPID >"$groups/units/$1/cgroup.procs" || exit 99
  exec "${@:2}"
}
unit_of () { (unit "$@"); }
run () { # UNIT OPTION…
  (unit "$1" "$SHOAL" run -q --progress none --retries 0 -v in:/in -o out:/out "${@:2}")
}
report () { find "$1"* -name attempt.json -exec cat {} + | grep -o "\"$2\":[^,}]*" | head -1 | cut -d: -f2 | tr -d '" ' || true; }

# ---- a unit: its worker lives on, in a group beside those of its slots
export SHOAL_BUS=sqlite:$PWD/bus.db
(unit service "$SHOAL" worker -j 1) >worker.out 2>worker.err &
worker=$!
pids=($worker)
for service in producer merger; do
  "$SHOAL" $service >$service.out 2>&1 &
  pids+=($!)
done
at_end 'kill -9 "${pids[@]}" 2>/dev/null || true'
job () { # RESULT OPTION…
  local id
  id=$("$SHOAL" submit -v "$PWD/in:/in" -o out:/out --retries 0 --results "$PWD/$1" "${@:2}") || return
  "$SHOAL" watch -q "$id"
}
expect_exit 0 "a job" job first --memory 64m busybox cat /proc/self/cgroup
slot=$(pgrep -P $worker -f 'shoal slot')
expect_same "worker and slot are in one group" "/units/service/shoal-worker /units/service/shoal-worker" \
  "$(sed -n 's/^0:://p' /proc/$worker/cgroup /proc/$slot/cgroup | xargs)"
expect_true "what a command took at most is known" test "$(report first peak_memory)" -gt 0
expect_true "the command isn't" sh -c "! grep -q shoal-worker first/stdout"
expect_same "the unit's own group is empty" "" "$(cat $groups/units/service/cgroup.procs)"

expect_exit 1 "a command that wants more memory" job oom --memory 64m busybox sh -c 'tail /dev/zero'
expect_stderr "out of memory"
expect_same "… ended by it" oom "$(report oom outcome)"
fill='head -c 200000000 /dev/zero >/memory/file; echo not reached'
expect_exit 1 "a file in a tmpfs beyond the job's memory" job tmpfs --memory 64m --tmpfs /memory:size=400m busybox sh -c "$fill; exit 0"
expect_same "… ended by it" oom "$(report tmpfs outcome)"
expect_exit 1 "a file in /dev/shm beyond it" job shm --memory 64m --shm-size 400m busybox sh -c "${fill//memory/dev/shm}; exit 0"
expect_same "… ended by it" oom "$(report shm outcome)"
expect_exit 0 "a child that is killed for its memory, and a command that goes on" job child --memory 64m busybox sh -c '(tail /dev/zero) || echo "child: $?"'
expect_same "… knows it" "child: 137" "$(cat child/stdout)"
expect_exit 0 "a command within its memory after all that" job after --memory 64m busybox true
peak=$(report after peak_memory)
expect_true "… isn't said to have used what those before did ($peak)" sh -c "[ -z '$peak' ] || [ '$peak' = null ] || [ '$peak' -lt 60000000 ]"

expect_exit 0 "processes up to the limit" job pids --pids-limit 10 busybox sh -c 'cat /sys/fs/cgroup/pids.max
  for i in 1 2 3 4 5 6 7 8; do sleep 2 & done; wait; echo all'
expect_same "… run" all "$(tail -1 pids/stdout)"
expect_exit 1 "and beyond it" job bomb --pids-limit 10 busybox sh -c 'for i in $(seq 30); do sleep 30 & done; echo "not reached"; exit 0'
expect_same "… fail in the command" "" "$(cat bomb*/stdout)"

spin='i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; grep -E "^nr_throttled|^usage_usec" /sys/fs/cgroup/cpu.stat'
expect_exit 0 "a tenth of a processor" job tenth --cpus 0.1 busybox sh -c "$spin"
expect_true "… the command was held back" test "$(sed -n 's/^nr_throttled //p' tenth/stdout)" -gt 0
expect_exit 0 "no limit" job free busybox sh -c "echo \$(ls -A /sys/fs/cgroup)"
expect_same "… no groups are seen" "" "$(cat free/stdout)"

look='cd /sys/fs/cgroup && cat memory.max memory.swap.max cpu.max pids.max; for file in memory.max cpu.max pids.max cgroup.procs; do
  echo 1 2>/dev/null >$file && echo "wrote $file"; done; mkdir below 2>/dev/null && echo "made a group"; ls -d slot-* shoal-worker 2>/dev/null
  grep -c " /sys/fs/cgroup ro,.* - cgroup2 " /proc/self/mountinfo'
for user in 0 1234; do
  expect_exit 0 "user $user reads its limits" job "look$user" --memory 96m --cpus 1.5 --pids-limit 50 --user $user busybox sh -c "$look"
  expect_same "… and changes none" "100663296 0 150000 100000 55 1" "$(xargs <look$user/stdout)"
done

SECONDS=0
expect_exit 0 "$outputs outputs with little memory and processor time" job many --memory 64m --cpus 0.5 busybox \
  sh -c "cd /out && seq $outputs | xargs -n 1000 touch"
echo "     $SECONDS s"
expect_same "… are all there" "$outputs" "$(find many/outputs/out -type f | wc -l)"

expect_same "the slot is the one that it was" "$slot" "$(pgrep -P $worker -f 'shoal slot')"
expect_true "and the worker" kill -0 $worker
kill -TERM "${pids[@]}"
wait "${pids[@]}" || true
pids=()
expect_same "no slot's group is left" "" "$(find $groups/units -name 'slot-*')"
expect_true "its group can be removed" rmdir $groups/units/service/shoal-worker $groups/units/service
unset SHOAL_BUS

# ---- what a run says where it has no group of its own
expect_exit 0 "a probe" unit_of probe "$SHOAL" worker --probe
expect_stdout "^oci: works: .*cgroup v2"
expect_true "… with limits" sh -c "! grep -q 'with limits: fails' '$E2E_WORK/out'"
mkdir $groups/units/shared
sh -c "echo \$\$ >$groups/units/shared/cgroup.procs; exec sleep 1000" &
other=$!
pids=($other)
wait_for "another process in the group" grep -q . $groups/units/shared/cgroup.procs
expect_exit 2 "limits in a group that other programs are in" run shared --memory 64m --results shared busybox true
expect_stderr "units/shared contains processes other than shoal's: run shoal in a cgroup of its own"
expect_exit 0 "… without limits it runs" run shared --results shared2 busybox true
kill $other
wait $other || true
pids=()

# ---- a run, a unit's and a container's, whose namespace shows its own group as the root
expect_exit 1 "a run in a group of its own" run run --memory 64m --results run busybox sh -c 'tail /dev/zero'
expect_stderr "shard 0: out of memory"
expect_exit 1 "a command without a container" run process --memory 64m --runtime process --results process none sh -c 'tail /dev/zero'
expect_stderr "shard 0: out of memory"
inside='mount --make-rprivate / && umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
boxed () { unit_of box unshare --cgroup --mount sh -c "$inside" - "$SHOAL" run -q --retries 0 -v in:/in -o out:/out --memory 64m "$@"; }
expect_exit 1 "a run in a container's namespace" boxed --results box busybox sh -c 'tail /dev/zero'
expect_stderr "shard 0: out of memory"
expect_exit 0 "its command sees its own limit" boxed --results box2 busybox cat /sys/fs/cgroup/memory.max
expect_same "…" 67108864 "$(cat box2/stdout)"
expect_same "nothing is left of it" "" "$(find $groups/units -name 'slot-*')"

# ---- somebody who isn't root, to whom a group was handed over
chmod 755 "$E2E_WORK" "$PWD"
cp -r "$E2E_CACHE/layouts/busybox" layout
mkdir -m 777 theirs
cp "$SHOAL" theirs/shoal
as () { # COMMAND…
  (
    cd theirs
    unit user env HOME="$PWD" SHOAL_IMAGES="$PWD/store" setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
  )
}
expect_exit 0 "an image of theirs" as ./shoal image import ../layout --as busybox
expect_exit 1 "their memory" as ./shoal run -q --retries 0 -o out:/out --memory 64m --results oom busybox sh -c 'tail /dev/zero'
expect_stderr "shard 0: out of memory"
expect_exit 0 "their limits" as ./shoal run -q --retries 0 -o out:/out --memory 64m --cpus 0.5 --pids-limit 20 --results look busybox \
  sh -c 'cd /sys/fs/cgroup && cat memory.max cpu.max pids.max; echo 1 2>/dev/null >memory.max && echo written; exit 0'
expect_same "… are seen" "67108864 50000 100000 25" "$(xargs <theirs/look/stdout)"
expect_same "nothing is left of it" "" "$(find $groups/units -name 'slot-*')"
