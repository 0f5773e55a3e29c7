#!/bin/bash
# Checks the models of the claims (claims.pml) and of who reads what (reading.pml) exhaustively by spin, and that each mutant is found wrong.
#
#   tests/model/run.sh [-l]      -l: larger ones as well, for minutes
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
model=$here/claims.pml
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

# ---- who reads what: what must come again and again, where no worker is passed over for ever

# follow DEFINE… : as search
follow () {
  spin -a "$@" "$here/reading.pml" >spin.out || { cat spin.out; exit 1; }
  cc -w -O2 -DMEMLIM=3000 -DNFAIR=3 -o pan pan.c
  ./pan -a -f -m1000000 -w24 >out 2>&1 || true
}

found_again () { # WHAT DEFINE…
  local what=$1
  shift
  follow "$@"
  if ! grep -q 'errors: 0' out || grep -qE 'max search depth too small|Search not completed' out; then
    cat out
    echo "$what: it doesn't hold, or the search wasn't complete"
    exit 1
  fi
  say "holds: $what"
  checks=$((checks + 1))
}

left_alone () { # NUMBER WHAT
  follow -DMUTANT="$1"
  if ! grep -qE 'acceptance cycle|assertion violated' out; then
    cat out
    echo "mutant $1 of reading ($2) isn't found: the model can't fail there"
    exit 1
  fi
  say "found: $2"
  mutants=$((mutants + 1))
}

found_again "who reads what, one dies and one comes late"
found_again "the same, the other partition" -DWATCHED=1
found_again "each sees members of its own" -DVIEWS=1 -DDEATHS=0
left_alone 1 "no worker looks at others' partitions"
left_alone 2 "each sees members of its own, and none looks at others' partitions"
left_alone 3 "a fruitless look isn't remembered"
left_alone 4 "a fruitless look is remembered for ever"
left_alone 5 "a partition is closed while a claim is held there"
echo "$checks checks, $mutants mutants found"
