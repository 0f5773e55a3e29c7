#!/bin/bash
# Random jobs that try to change the machine, `shoal run` whoever it is: nothing outside of the folders that they were given changes. SHOAL_SEED repeats it,
# SHOAL_OUTSIDE_JOBS says how many.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
seed=${SHOAL_SEED:-$RANDOM}
count=${SHOAL_OUTSIDE_JOBS:-40}
echo "SHOAL_SEED=$seed"
root=$(pwd -P)
outside=$(cd .. && pwd -P)/outside
mkdir -p in/sub results "$outside/folder" "$outside/closed"
for name in a b c sub/d sub/e; do echo "$name" >"in/$name"; done
echo precious >"$outside/file"
echo inside >"$outside/folder/file"
chmod 0600 "$outside/file"
chmod 0700 "$outside/closed"
ln -s "$outside/file" in/link
ln -s "$outside" in/out
ln -s "$outside" results/link

# What is outside, as it is: names, kinds, modes, owners, times of content, links, content. A file that a link in an input stands for is hard-linked for a
# while, so times of change of these don't count.
look () {
  (cd "$outside" && find . -printf '%p %y %m %U:%G %s %n %T@ %l\n' | sort && find . -type f -exec sha256sum {} + | sort)
  (cd "$root/in" && find . -printf '%p %y %m %U:%G %s %n %l\n' | sort && find . -type f -exec sha256sum {} + | sort)
  stat -c '%n %f %u:%g' /* | sort
}
# What changed of the system since `marker`, its times of change included. Others may work on this machine: what they change isn't in these.
system_changes () {
  find /bin /boot /etc /home /lib /media /mnt /opt /sbin /srv /usr -xdev -newercm marker ! -path '*/__pycache__*' 2>/dev/null | head
}
mounts () { awk '{print $5, $9}' /proc/self/mountinfo | sort; }

touch marker
look >before
mounts >mounts-before
jobs_run=0
number=0
while IFS= read -r line; do
  eval "words=($line)"
  code=0
  timeout 120 "$SHOAL" run -q --progress none --retries 0 -j 2 "${words[@]}" >out 2>err </dev/null || code=$?
  [ -z "${SHOAL_OUTSIDE_SAY-}" ] || echo "$code $(head -c 200 err | head -1)"
  jobs_run=$((jobs_run + (code == 0)))
  look >after
  if ! cmp -s before after; then
    fail "job $number changed something (exit $code): $line"
    diff before after | head -20 || true
    look >before
  fi
  case $code in 0 | 1 | 2 | 4) ;; *) fail "job $number: exit $code: $line: $(head -3 err)" ;; esac
  number=$((number + 1))
done < <(python3 "$E2E_LIB/random_jobs.py" "$seed" "$count" "$root" "$outside")
expect_same "all of them were tried" "$count" "$number"
expect_true "$jobs_run of $count ran to their end, a tenth at least" test "$jobs_run" -ge $((count / 10))
expect_same "nothing of the system changed" "" "$(system_changes)"
mounts >mounts-after
expect_same "nothing is left mounted" "$(cat mounts-before)" "$(cat mounts-after)"
