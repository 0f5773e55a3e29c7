#!/bin/bash
# Commands that only look write nothing: on storage that is read-only, at another user's result, and a thousand times in a row.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 3
umask 022
chmod 755 "$E2E_WORK" .
job () { "$SHOAL" run -q -v in:/in -o res:/out --glob '*.txt' --runtime process --retries 0 --results "$@"; }
job r any sh -c 'echo said; for f in "$SHOAL_INPUT"; do :; done'
job f any sh -c 'exit 3' || true

# What is there, to the byte and the time.
picture () { (cd "$1" && find . -printf '%p %y %m %s %T@\n' | sort && find . -type f -exec sha256sum {} + | sort); }
# Reads RESULT by each command that only looks; prints those that fail.
look () { # RESULT
  local command
  for command in "status $1" "status --json $1" "status --shards $1" "logs $1" "report $1" "report -o /dev/null $1" "watch $1" \
    "list --bus sqlite:$1/.shoal/bus.db" "dead list --bus sqlite:$1/.shoal/bus.db"; do
    $SHOAL $command >"$E2E_WORK/out" 2>"$E2E_WORK/err" </dev/null || echo "$command: exit $?: $(cat "$E2E_WORK/err")"
  done
}
export SHOAL E2E_WORK
export -f look picture

expect_same "a run leaves an empty log behind" 0 "$(stat -c %s r/.shoal/bus.db-wal)"
before=$(picture r)
expect_same "the commands work" "" "$(look r)"
# The index of SQLite's log, -shm, is memory that its users share; it is no state.
expect_same "… and change nothing" "" "$(diff <(grep -v 'bus.db-shm' <<<"$before") <(picture r | grep -v 'bus.db-shm'))"

for ((i = 0; i < 200; i++)); do "$SHOAL" status r >/dev/null; done
expect_same "200 looks leave the log as it was" 0 "$(stat -c %s r/.shoal/bus.db-wal)"
for ((i = 0; i < 50; i++)); do job r any sh -c 'echo said; for f in "$SHOAL_INPUT"; do :; done'; done
expect_same "so do 50 runs that have nothing to do" 0 "$(stat -c %s r/.shoal/bus.db-wal)"

# On read-only storage, with and without what SQLite keeps beside its file, in all states that a copy may have.
read_only () { # RESULT
  unshare --mount bash -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && look "$1" && "$SHOAL" get "$1" "$1.copy" 2>/dev/null' - "$1" 2>&1
}
if [ "$(id -u)" -eq 0 ]; then
  cp -a r bare && rm bare/.shoal/bus.db-*
  cp -a r 'odd?name#1%41' && rm 'odd?name#1%41'/.shoal/bus.db-*
  cp -a r empty && : >empty/.shoal/bus.db-wal
  for result in r bare empty; do
    expect_same "read-only: $result" "" "$(read_only "$result")"
    expect_true "… can be copied out" cmp "$result.copy/manifest.json" r/manifest.json
  done
  expect_same "a name that a URI would take apart" "" \
    "$(unshare --mount bash -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && "$SHOAL" status "$1" >/dev/null' - 'odd?name#1%41' 2>&1)"
  # Left in the middle of its work: what is in the log counts.
  "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --results k --runtime process --jobs 2 -e "GATE=$PWD/gate" any \
    sh -c 'touch "$GATE.$SHOAL_SHARD_INDEX"; until [ "$SHOAL_SHARD_INDEX" = 0 ] || [ -e "$GATE" ]; do sleep 0.02; done' >/dev/null 2>run.err &
  run=$!
  wait_for "the second shard to run" test -e gate.1
  for command in "status k" "status --json k" "logs k" "report k" "list --bus sqlite:k.partial/.shoal/bus.db"; do
    expect_exit 0 "a job that runs: $command" "$SHOAL" $command
  done
  touch gate
  expect_end 0 "… isn't disturbed" $run
  cp -a f.partial killed.partial
  python3 - killed.partial/.shoal/bus.db <<'END'
import os, sqlite3, sys
bus = sqlite3.connect(sys.argv[1], isolation_level=None)
bus.execute("INSERT INTO meta VALUES ('test', 1)")
os._exit(0)
END
  expect_true "a killed one's log isn't empty" test -s killed.partial/.shoal/bus.db-wal
  expect_same "… is read with it" "" "$(unshare --mount bash -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && "$SHOAL" status "$1" >/dev/null' - killed.partial 2>&1)"
  rm killed.partial/.shoal/bus.db-shm
  expect_exit 2 "… and not without its index" unshare --mount bash -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && "$SHOAL" status "$1"' - killed.partial
  expect_stderr "bus.db-wal can't be read without write access: copy the folder"

  # Another user's.
  other () { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
  install -m 755 "$SHOAL" shoal
  expect_exit 2 "another user's status, whose bus is its owner's alone" other ./shoal status r
  expect_stderr "bus.db: Permission denied"
  mkdir -m 777 theirs
  expect_exit 0 "its result can be copied all the same" other ./shoal get r theirs/copy
  expect_true "… whole" cmp theirs/copy/manifest.json r/manifest.json
  chmod 644 r/.shoal/bus.db*
  before=$(picture r)
  expect_same "a bus that others may read is read" "" "$(SHOAL="$PWD/shoal" setpriv --reuid 65534 --regid 65534 --clear-groups bash -c 'E2E_WORK=$PWD/theirs look r')"
  expect_same "… and isn't changed" "" "$(diff <(echo "$before") <(picture r))"
fi

# A name that was mistyped isn't made.
mkdir nothing
for command in "status --bus sqlite:nothing/b.db x" "list --bus sqlite:nothing/b.db" "dead list --bus sqlite:nothing/b.db" \
  "dead replay --all --bus sqlite:nothing/b.db" "cancel --bus sqlite:nothing/b.db x" "retry --bus sqlite:nothing/b.db x" "watch --bus sqlite:nothing/b.db x" \
  "logs --bus sqlite:nothing/b.db x" "report --bus sqlite:nothing/b.db x" "get --bus sqlite:nothing/b.db x y"; do
  expect_exit 2 "$command" "$SHOAL" $command
  expect_stderr "nothing/b.db: no such bus"
done
expect_same "nothing was made" "" "$(ls nothing)"
: >nothing/b.db
expect_exit 2 "a file without a bus" "$SHOAL" list --bus sqlite:nothing/b.db
expect_stderr "nothing/b.db: not a bus"
expect_same "stays as it was" "b.db" "$(ls nothing)"
