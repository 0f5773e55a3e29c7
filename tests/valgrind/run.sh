#!/bin/bash
# Runs the unit tests of a build under Valgrind, two at a time: run.sh BUILD_FOLDER. What it finds is shown.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
build=$(realpath "$1")
preload=$build/openat2.so
gcc -D_GNU_SOURCE -O1 -shared -fPIC -o "$preload" "$here/openat2.c" -ldl

# Leaks don't count in children: what a forked child's parent holds looks lost there. Their reports are silent.
one () {
  local program=$1 out result=0
  out=$(mktemp)
  LD_PRELOAD=$preload valgrind --quiet --error-exitcode=99 --errors-for-leak-kinds=none --leak-check=full \
    --show-leak-kinds=definite --child-silent-after-fork=yes --suppressions="$here/suppressions" --log-file="$out.valgrind" "$program" >"$out" 2>&1 || result=$?
  if [ $result -eq 0 ] && [ ! -s "$out.valgrind" ]; then
    echo "passed $(basename "$program")"
  else
    cat "$out" "$out.valgrind"
    echo "FAILED $(basename "$program"), exit $result"
    result=1
  fi
  rm -f "$out" "$out.valgrind"
  return $result
}
export -f one
export here preload

# Valgrind 3.19 doesn't know pidfd_open, on which an attempt waits, keeps descriptors of its own, of which a storage test
# allows few, and looks for a program in memory by its name: ASan runs these three.
echo "LEFT OUT: test_unit_worker_attempt (needs pidfd_open), test_unit_storage_local (allows few descriptors)," \
  "test_unit_worker_sealed (starts a program in memory)"
list=$(find "$build/tests" -maxdepth 1 -type f -name 'test_unit_*' ! -name test_unit_worker_attempt \
  ! -name test_unit_storage_local ! -name test_unit_worker_sealed | sort)
[ -n "$list" ] || { echo "$build: no unit tests there" >&2; exit 1; }
cd "$here/.." # as ctest does
xargs -P2 -I{} bash -c 'one {}' <<< "$list"
