#!/bin/bash
# The first process of cgroup2.sh's machine: mounts what a Linux has, runs the tests, says how each ended, and switches the machine off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
busybox ip link set lo up
busybox hostname machine
exec >/dev/ttyS0 2>&1 </dev/null
. /etc/machine.sh
[ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] && echo "cgroup2 is mounted at /sys/fs/cgroup"
export SHOAL_TEST_CACHE=/cache SHOAL_PATIENCE=300

# A part in a session of its own, so that what it leaves is seen.
part () { # NAME COMMAND…
  local name=$1 code=0
  shift
  [[ " $parts " == *" $name "* ]] || return 0
  echo "--- $name begins, $(cut -d. -f1 /proc/uptime) s"
  setsid -w "$@" || code=$?
  echo "--- $name: exit $code"
}
cd "$source/tests" || exit
part groups env SHOAL_ROUNDS=5 "$build/tests/test_integration_worker_cgroup"
part containers env SHOAL_SUITE=limits "$build/tests/test_integration_worker_container"
part slots env SHOAL_ROUNDS=1 SHOAL_SLOTS=8 bash "$source/tests/e2e/cgroups.sh" "$build/shoal"
part limits env SHOAL_OUTPUTS="$outputs" bash "$source/tests/long/cgroup2_limits.sh" "$build/shoal"
echo "the machine has done all"
sync
busybox reboot -f
