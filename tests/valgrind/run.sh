#!/bin/bash
# Runs the unit tests of a build under Valgrind, two at a time: run.sh BUILD_FOLDER. What it finds is shown.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
build=$(realpath "$1")
preload=$build/openat2.so
gcc -D_GNU_SOURCE -O1 -shared -fPIC -o "$preload" "$here/openat2.c" -ldl

one () {
  local program=$1 out result=0
  out=$(mktemp)
  LD_PRELOAD=$preload valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite \
    --child-silent-after-fork=yes \
    "$program" >"$out" 2>&1 || result=$?
  if [ $result -eq 0 ]; then
    echo "passed $(basename "$program")"
  else
    cat "$out"
    echo "FAILED $(basename "$program"), exit $result"
  fi
  rm -f "$out"
  return $result
}
export -f one
export preload

list=$(find "$build/tests" -maxdepth 1 -type f -name 'test_unit_*' | sort)
[ -n "$list" ] || { echo "$build: no unit tests there" >&2; exit 1; }
cd "$here/.." # as ctest does
xargs -P2 -I{} bash -c 'one {}' <<< "$list"
