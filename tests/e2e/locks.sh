#!/bin/bash
# Files that are locked belong to their user alone: others can neither stop a command nor be taken for one.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 3
mkdir cache
export SHOAL_CACHE_DIR=$PWD/cache SHOAL_IMAGES=$PWD/images
"$SHOAL" image import "$E2E_CACHE/layouts/busybox" --as busybox

# Every regular file below FOLDER… that a process has locked now, or that is called a lock: mode and path.
locked () { # FOLDER…
  python3 - "$@" <<'END'
import os, re, stat, sys
locks = {int(match[1]) for match in re.finditer(r":(\d+) \S+ \S+$", open("/proc/locks").read(), re.M)}
for top in sys.argv[1:]:
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            if stat.S_ISREG(about.st_mode) and (about.st_ino in locks or re.search("lock|owners", name)):
                print("%o" % stat.S_IMODE(about.st_mode), path)
END
}
start () { # RESULT OPTION…
  rm -f gate
  "$SHOAL" run -v in:/in -o res:/out --results "$1" "${@:2}" --runtime process -e "GATE=$PWD/gate" any \
    sh -c 'touch "$GATE.$SHOAL_SHARD_INDEX"; until [ -e "$GATE" ]; do sleep 0.02; done' >/dev/null 2>run.err &
  run=$!
  wait_for "a shard to run" test -e gate.0
}

start r --glob '*.txt' --jobs 1
locked r.partial cache images >modes
expect_true "the bus's owners are seen" grep -q 'r.partial/.shoal/bus.db-owners' modes
expect_true "the run's lock is seen" grep -q 'r.partial/.shoal/lock' modes
expect_true "the image store's lock is seen" grep -q 'images/lock' modes
expect_same "nobody else can open what is locked" "" "$(grep -v '^600 ' modes || true)"
if [ "$(id -u)" -eq 0 ]; then
  chmod 755 "$E2E_WORK" .
  expect_exit 66 "another user can't lock the result" setpriv --reuid 65534 --regid 65534 --clear-groups flock -n -s r.partial/.shoal/lock true
  expect_stderr "Permission denied"
fi
touch gate
expect_end 0 "the run ends" $run

# What an older version left open is closed.
chmod 644 r/.shoal/lock r/.shoal/bus.db-owners r/.shoal/publish.lock images/lock
expect_exit 0 "merge" "$SHOAL" merge r
expect_exit 0 "image import" "$SHOAL" image import "$E2E_CACHE/layouts/busybox" --as busybox
expect_same "… closes them" "600 600 600 600" "$(stat -c %a r/.shoal/lock r/.shoal/bus.db-owners r/.shoal/publish.lock images/lock | tr '\n' ' ' | sed 's/ $//')"
ln -sf "$PWD/victim" r/.shoal/lock
expect_exit 2 "a lock that is a symbolic link isn't followed" "$SHOAL" merge r
expect_true "… and nothing is made behind it" test ! -e victim

# A lock on another file system's file of the same number isn't the result's.
twins () {
  mkdir one two
  mount -t tmpfs tmpfs one && mount -t tmpfs tmpfs two || return 1
  "$SHOAL" run -q -v in:/in -o res:/out --results one/r --runtime process any true || return 1
  local number twin
  number=$(stat -c %i one/r/.shoal/lock)
  for ((i = 0; i < 10000; i++)); do # files are numbered one after the other on a fresh tmpfs
    twin=two/twin$i
    : >"$twin"
    [ "$(stat -c %i "$twin")" -ne "$number" ] || break
  done
  [ "$(stat -c %i "$twin")" -eq "$number" ] || { echo "no twin of number $number" >&2; return 1; }
  flock "$twin" "$SHOAL" status --json one/r
}
export -f twins
export SHOAL
expect_exit 0 "status beside a lock of the same number" unshare --mount bash -c twins
expect_same "sees that nobody works there" None "$(json process <"$E2E_WORK/out" 2>/dev/null || echo None)"
mkdir three
same_place () { mount -t tmpfs tmpfs three && "$SHOAL" run -q -v in:/in -o res:/out --results three/r --runtime process any true && flock three/r/.shoal/lock "$SHOAL" status --json three/r; }
export -f same_place
expect_exit 0 "status of a result that is locked, on a file system of its own" unshare --mount bash -c same_place
expect_true "sees the holder" test "$(json process <"$E2E_WORK/out")" -gt 0
