#!/bin/bash
# Builds shoal in every way that finds faults and runs all tests; .ci/run is this. The last line is "N passed, N failed".
#
#   tests/run.sh             everything; logs in build/logs/
#
# One Kafka broker and one S3, HTTP and IPFS server each serve all tests that need one; those that hurt servers or want a password start their own.
# Once each: house rules, gcc and clang without a warning, three static analysers without a new finding, all tests under ASan and
# UBSan, faults and kills on a plain build, unit tests under Valgrind, tests of what has threads under TSan, fuzzers for a few seconds.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=$PWD/build/logs
rm -rf "$logs"
mkdir -p "$logs"
passed=0
failed=0
failures=()
unsteady=()

count () { # NAME RESULT
  if [ "$2" -eq 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$1")
  fi
}

# One step, one test: quiet when it passes, its output when it doesn't.
step () { # NAME COMMAND…
  local name=$1 start=$SECONDS result=0
  shift
  "$@" >"$logs/$name.log" 2>&1 || result=$?
  count "$name" $result
  if [ $result -eq 0 ]; then
    printf 'passed  %-28s %4d s\n' "$name" $((SECONDS - start))
  else
    printf 'FAILED  %-28s %4d s, exit %d\n' "$name" $((SECONDS - start)) $result
    tail -n 100 "$logs/$name.log"
  fi
  return $result
}

# A step that goes on beside the next ones, with what they leave of the processors; `join` waits for it and counts it.
beside () { # NAME COMMAND…
  local name=$1
  shift
  rm -f "$logs/$name.result"
  (
    result=0
    nice -n 10 "$@" >"$logs/$name.log" 2>&1 || result=$?
    echo "$result" >"$logs/$name.result"
  ) &
}
join () { # NAME
  local name=$1 result=1
  while [ ! -f "$logs/$name.result" ] && [ -n "$(jobs -rp)" ]; do sleep 0.2; done
  [ ! -f "$logs/$name.result" ] || result=$(<"$logs/$name.result")
  count "$name" "$result"
  if [ "$result" -eq 0 ]; then
    printf 'passed  %-28s beside\n' "$name"
  else
    printf 'FAILED  %-28s exit %d\n' "$name" "$result"
    tail -n 100 "$logs/$name.log"
  fi
}

# Names of the tests that failed in a log of ctest's.
failed_in () { sed -n 's/^\t *[0-9]* - \(.*\) (.*)$/\1/p' "$1"; }

# Tests of one build, each counted; ctest's own lines are shown. Three at a time: most wait for something most of the time.
# What fails is run once more, alone: on a shared machine a neighbour can take what a test needs. What then passes is named at the end.
run_ctest () { # NAME BUILD CTEST-OPTION…
  local name=$1 build=$2 log=$logs/$1.log again=$logs/$1.again.log test
  shift 2
  printf '\n--- %s\n' "$name"
  ctest --test-dir "$build" -j3 --output-on-failure --no-tests=error "$@" 2>&1 | tee "$log"
  if [ "${PIPESTATUS[0]}" -ne 0 ] && ! grep -q 'tests passed' "$log"; then
    count "$name" 1 # ctest itself didn't get to its end
    return
  fi
  passed=$((passed + $(grep -cE ' +Passed +[0-9.]+ sec *$' "$log")))
  [ -n "$(failed_in "$log")" ] || return 0
  printf '\n--- %s: what failed, once more\n' "$name"
  ctest --test-dir "$build" --rerun-failed --output-on-failure 2>&1 | tee "$again"
  while read -r test; do
    if failed_in "$again" | grep -qxF "$test" || ! grep -q 'tests passed' "$again"; then
      count "$name: $test" 1
    else
      count "$name: $test" 0
      unsteady+=("$name: $test")
    fi
  done < <(failed_in "$log")
}

build () { # PRESET
  cmake --preset "$1" && cmake --build --preset "$1" -j2
}

finish () {
  local name
  echo
  for name in "${unsteady[@]}"; do
    echo "UNSTEADY: $name: failed beside others, passed alone; see the first log"
  done
  for name in "${failures[@]}"; do
    echo "failed: $name"
  done
  echo "took $SECONDS s, logs in build/logs"
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}

servers=$(mktemp -d)
stop_servers () {
  deploy/kafka/dev.sh clean --dir "$servers/kafka" >/dev/null 2>&1
  for server in minio nginx ipfs; do
    deploy/storage/server.sh stop $server "$servers/$server"
  done
  rm -rf "$servers"
}
trap stop_servers EXIT

# SHOAL_TEST_KAFKA: where the tests' broker listens.
start_broker () {
  local said
  said=$(deploy/kafka/dev.sh start --dir "$servers/kafka") || return
  export SHOAL_TEST_KAFKA=${said##*kafka://}
}

# SHOAL_TEST_S3, …_IPFS_API, …_IPFS_GATEWAY, …_HTTP, …_HTTP_ROOT: the storage servers. Their programs are built by the first run on a machine.
start_storage () {
  local said server
  for server in minio nginx ipfs; do
    said=$(deploy/storage/server.sh start $server "$servers/$server") || return
    said=${said//AWS_ENDPOINT_URL/SHOAL_TEST_S3}
    said=${said//SHOAL_IPFS_/SHOAL_TEST_IPFS_}
    eval "${said%% AWS_ACCESS_KEY_ID*}"
  done
}

if ! step packages tools/install.sh build run image test kafka storage web registry python clients; then finish; fi
step broker start_broker
step storage start_storage
step house tests/house.sh
for preset in dev plain clang tsan fuzz; do
  step "build-$preset" build $preset
done
[ -x build/dev/shoal ] || finish
[ -x build/plain/shoal ] && step arrows python3 -B tests/house/arrows.py build/plain

beside model tests/model/run.sh
beside static tests/static.sh build/dev
run_ctest dev build/dev -LE fault
[ -x build/plain/shoal ] && run_ctest fault build/plain -L fault
printf '\n'
step valgrind tests/valgrind/run.sh build/plain
[ -x build/tsan/shoal ] && run_ctest tsan build/tsan -R '^(unit\.worker\.stage|unit\.storage\.summing|unit\.schemas|unit\.producer|unit\.common\.metrics|integration\.storage\.fetcher|e2e\.job_api)'
join model
join static
step fuzz tests/fuzz/fuzz.sh build/fuzz "${SHOAL_FUZZ_SECONDS:-5}"
finish
