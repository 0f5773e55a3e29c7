#!/bin/bash
# What CI has no time for: tests/long.sh [PART…], an hour and more; all parts, or those that are named.
#
#   librdkafka   what talks to Kafka, on a newer librdkafka than Debian's: the same binaries
#   campaign     fleets under fire: SHOAL_FLEET_ROUNDS (100) rounds of each mode
#   model        the larger models of the claims
#
# Needs build/dev and build/plain, as tests/run.sh leaves them. Each part ends with what it counted; a seed it prints repeats it.
set -uo pipefail
cd "$(dirname "$0")/.."
[ -x build/dev/shoal ] && [ -x build/plain/shoal ] || { echo "long.sh: build/dev and build/plain are needed: tests/run.sh builds them" >&2; exit 2; }
tools/install.sh kafka test registry python || exit
kafka=$(mktemp -d)
trap 'deploy/kafka/dev.sh clean --dir "$kafka" >/dev/null 2>&1' EXIT
said=$(deploy/kafka/dev.sh start --dir "$kafka") || exit
export SHOAL_TEST_KAFKA=${said##*kafka://}
unset SHOAL_BUS
failed=0

part () { # NAME COMMAND…
  local name=$1
  shift
  echo "--- $name"
  if "$@"; then echo "passed  $name"; else echo "FAILED  $name"; failed=$((failed + 1)); fi
}
on_newer_librdkafka () {
  local folder
  folder=$(tools/newer_librdkafka.sh) || return
  LD_LIBRARY_PATH=$folder ctest --test-dir build/dev --output-on-failure --no-tests=error -R '^integration\.common\..*kafka|^e2e\.(fleet|queues|secure|upstream|webhook)$' &&
    LD_LIBRARY_PATH=$folder ctest --test-dir build/plain --output-on-failure --no-tests=error -R '^fault\.fleet$'
}
campaign () {
  bash tests/fault/fleet.sh build/plain/shoal "${SHOAL_FLEET_ROUNDS:-100}" kill stop scale roll restart pause three slow cut
}

[ $# -gt 0 ] || set -- librdkafka campaign model
for name; do
  case $name in
    librdkafka) part librdkafka on_newer_librdkafka ;;
    campaign) part campaign campaign ;;
    model) part model tests/model/run.sh -l ;;
    *) echo "long.sh: $name: not one of librdkafka, campaign, model" >&2; exit 2 ;;
  esac
done
echo "$failed parts failed"
[ $failed -eq 0 ]
