#!/bin/bash
# The program tests can fail: what e2e.sh makes of a failed check, of none, and of a script that ends early.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
script () { # CODE WHAT LINE…
  local code=$1 what=$2
  shift 2
  { echo ". '$E2E_LIB/e2e.sh' \"\$@\""; printf '%s\n' "$@"; } >script.sh
  expect_exit "$code" "$what" bash script.sh "$SHOAL"
}
script 0 "checks that pass" 'expect_same this a a' 'expect_true that true'
expect_stdout '^2 passed, 0 failed$'
script 1 "a check that fails" 'expect_same this a b' 'expect_true that true'
expect_stdout '^1 passed, 1 failed$'
script 1 "a failing check before the end" 'expect_exit 0 this false' 'ok that'
script 1 "no check at all" ':'
script 1 "an early end" 'ok this' 'false' 'ok that'
expect_stdout 'ended early'
script 1 "an end that was asked for" 'ok this' 'exit 3'
