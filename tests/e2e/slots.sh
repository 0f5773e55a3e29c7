#!/bin/bash
# How many slots a worker has by default: what the process may use, and not the machine's cores.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
export SHOAL_BUS=sqlite:$PWD/bus.db
cores=$(getconf _NPROCESSORS_ONLN)
[ "$cores" -ge 2 ] || { echo "this machine has one core: there is nothing to tell apart"; exit 1; }
usable=$(nproc)
# says WHAT SLOTS WHY COMMAND…: runs a worker by COMMAND … and looks at what it says.
says () {
  local what=$1 slots=$2 why=$3
  shift 3
  expect_exit 0 "$what" "$@" "$SHOAL" worker --idle-timeout 10ms
  expect_stderr "event=worker_ready .*slots=$slots slots_by=$why"
}
says "on one processor" 1 affinity taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')"
expect_exit 0 "--jobs is more" taskset -c 0 "$SHOAL" worker --idle-timeout 10ms --jobs 3
expect_stderr "slots=3 slots_by=option"

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then group=/sys/fs/cgroup/shoal-slots-$$; else group=/sys/fs/cgroup/cpu/shoal-slots-$$; fi
limited () { # a command in a control group of its own, whose time is LIMIT thousandths of a processor
  local limit=$1
  shift
  mkdir -p "$group"
  if [ -e "$group/cpu.max" ]; then
    echo "${limit}00 100000" >"$group/cpu.max"
  else
    echo "${limit}00" >"$group/cpu.cfs_quota_us"
  fi
  sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' - "$group" "$@"
}
at_end 'rmdir "$group" || true'
says "with half a processor's time" 1 cgroup limited 500
says "with one and a half" 2 cores limited 1500
# Behind the border of a container the group is the root of what is mounted.
inside='place=/sys/fs/cgroup; [ -e $place/cgroup.controllers ] || place=$place/cpu; mount --bind "$0" $place && exec "$@"'
says "in a container" 1 cgroup limited 500 unshare --cgroup --mount sh -c "$inside" "$group"
