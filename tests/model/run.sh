#!/bin/bash
# Checks the model of the claims (claims.pml) exhaustively by spin, and that each mutant of it is found wrong.
#
#   tests/model/run.sh [-l]      -l: larger ones as well, for minutes
set -euo pipefail
model=$(cd "$(dirname "$0")" && pwd)/claims.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
checks=0
mutants=0

# search DEFINE… : leaves what pan says in out
search () {
  spin -a "$@" "$model" >spin.out || { cat spin.out; exit 1; }
  cc -w -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -DVECTORSZ=2048 -o pan pan.c
  ./pan -m100000 -w25 >out 2>&1 || true
}
say () { echo "$*: $(sed -nE 's/^ *([0-9]+) states, stored.*/\1 states/p' out)"; }

check () { # WORKERS CRASHES TICKS RELEASES DOUBLES
  search -DWORKERS="$1" -DCRASHES="$2" -DTICKS="$3" -DRELEASES="$4" -DDOUBLES="$5"
  if ! grep -q 'errors: 0' out || grep -qE 'max search depth too small|memory|Search not completed' <(grep -v 'memory usage\|memory used' out); then
    cat out
    echo "$1 workers, $2 crashes, $3 ticks, $4 releases, $5 doubles: it doesn't hold, or the search wasn't complete"
    exit 1
  fi
  say "holds: $1 workers, $2 crashes, $3 ticks, $4 releases, $5 doubles"
  checks=$((checks + 1))
}

mutant () { # NUMBER WHAT
  search -DWORKERS=2 -DCRASHES=1 -DTICKS=2 -DDOUBLES="${3:-0}" -DMUTANT="$1"
  if ! grep -q 'assertion violated' out; then
    cat out
    echo "mutant $1 ($2) isn't found: the model can't fail there"
    exit 1
  fi
  say "found: $2"
  mutants=$((mutants + 1))
}

check 2 1 2 1 1
check 2 2 2 0 0
check 3 0 2 0 0
if [ "${1-}" = -l ]; then
  check 2 1 3 1 0
  check 2 2 2 1 0
  check 2 2 3 0 0
  check 3 1 1 0 0
fi
mutant 1 "a claim counts although another's lease runs"
mutant 2 "a worker starts before it has read that its claim counted"
mutant 3 "a worker starts when its lease may have run out"
mutant 4 "an end is published before it was read that it counted"
mutant 5 "the retry doesn't wait for the event"
mutant 6 "an offset is committed over what is decided and not done"
mutant 7 "nobody publishes for the dead"
mutant 8 "done is said before the event was acknowledged"
mutant 9 "a shard is given back while its container runs"
mutant 10 "a claim is on a message and not on the attempt it is of" 1
mutant 11 "a renewal counts on what another one had taken over and gave back"
echo "$checks checks, $mutants mutants found"
