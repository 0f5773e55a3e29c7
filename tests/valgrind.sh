#!/bin/bash
# Runs one unit test program under Valgrind; its output is shown when there is anything to see.
out=$(mktemp)
trap 'rm -f "$out"' EXIT
if valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible --trace-children=no \
    --child-silent-after-fork=yes "$1" >"$out" 2>&1; then
  echo "passed $(basename "$1")"
else
  result=$?
  cat "$out"
  echo "FAILED $(basename "$1"), exit $result"
  exit 1
fi
