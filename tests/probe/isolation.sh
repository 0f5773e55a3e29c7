#!/bin/sh
# What a container can do and see, as sections "== NAME" of lines. Run in the image of tests/bench/isolation.py, for which
# /data is a folder to be read (with a mount at disk1), /out one to write to, NODE a loop device's "MAJOR MINOR".
p=/probe
section () { echo "== $1"; }

section status
grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
section me
$p/isolation me
section uid_map
cat /proc/self/uid_map
section namespaces
for name in user mnt pid net ipc uts cgroup time; do echo "$name $(readlink /proc/self/ns/$name)"; done
section descriptors
ls -l /proc/self/fd | sed -n 's/.* -> //p'
section environment
env
section mountinfo
cat /proc/self/mountinfo
section dev
find /dev
section node_made
for place in / /dev /out /tmp; do
  if mknod $place/made b $NODE 2>/dev/null; then $p/isolation open $place/made; rm -f $place/made; else echo "$place/made: not made"; fi
done
section node_of_image
$p/isolation open /node
section set_uid
$p/isolation as 1000 $p/setuid me
section file_capability
$p/isolation as 1000 $p/capable me
section open
$p/isolation open /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/interrupts /proc/kmsg /dev/kmsg /dev/mem \
  /proc/slabinfo /proc/kallsyms
section listed
for folder in /proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/devices/virtual/powercap /sys/kernel/debug \
  /sys/devices/system/cpu/cpu0/thermal_throttle; do
  echo "$folder $(ls -A $folder 2>/dev/null | wc -l)"
done
section written
for file in /proc/sys/kernel/core_pattern /proc/sys/vm/overcommit_memory /proc/sysrq-trigger /proc/irq/default_smp_affinity \
  /proc/sys/kernel/domainname /sys/kernel/mm/transparent_hugepage/enabled; do
  if (exec 3>>$file) 2>/dev/null; then echo "$file: opened"; else echo "$file: refused"; fi
done
section cgroup
cat /proc/self/cgroup
section volume
for place in /data /data/disk1; do
  if (: >$place/made) 2>/dev/null; then echo "$place written"; else echo "$place refused"; fi
done
section network
sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' /proc/net/dev
section unshare
unshare -U true 2>/dev/null && echo user
unshare -m true 2>/dev/null && echo mount
section processes
$p/isolation processes 5000
section output
(cp $p/isolation /out/suid && chmod 4755 /out/suid) 2>/dev/null && echo suid
$p/isolation capable /out/capable
section system_calls
$p/system_calls
section i386
$p/i386
