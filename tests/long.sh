#!/bin/bash
# What CI has no time for: tests/long.sh [PART…], an hour and more; all parts, or those that are named.
#
#   librdkafka   what talks to Kafka, on a newer librdkafka than Debian's: the same binaries
#   campaign     fleets under fire: SHOAL_FLEET_ROUNDS (100) rounds of each mode
#   model        the larger models of the claims
#   results      fleets with results in S3, workers and mergers killed: SHOAL_ROUNDS (100) rounds
#   sizes        10,000 small objects and two of 5 GiB, there and back
#   soak         20,000 tiny jobs through one producer, worker and merger, on SQLite and on Kafka: memory and descriptors
#   kills        1,000 kills of parts, slots and containers of a fleet, each with a look for what is left
#   races        folders and files that become links meanwhile: SHOAL_RACE_ROUNDS (20000) rounds of each way
#   judges       what talks to S3, to another server than MinIO: versitygw
#   servers      listings of more HTTP servers than CI has: npm's, Go's, dufs
#   engines      images that Docker's engine and crane write, compared with the engine's
#   writers      images that ko, jib and crane's estargz write, compared with podman's: builds ko, which takes minutes
#   deb          the Debian package, in a Debian with systemd
#   dockerfile   the Dockerfile, built by buildah on a base of Debian's packages, and run by podman
#   cgroup2      limits under version 2 of control groups, in a machine that qemu computes
#   kubernetes   the chart on a real Kubernetes with KEDA: no worker to some and back, kills and upgrades in mid-job. As root; a quarter of an hour to build
#
# Needs build/dev and build/plain, as tests/run.sh leaves them. Each part ends with what it counted; a seed it prints repeats it.
set -uo pipefail
cd "$(dirname "$0")/.."
[ -x build/dev/shoal ] && [ -x build/plain/shoal ] || { echo "long.sh: build/dev and build/plain are needed: tests/run.sh builds them" >&2; exit 2; }
tools/install.sh kafka storage test registry python || exit
kafka=$(mktemp -d)
storage=$(mktemp -d)
stop_servers () {
  deploy/kafka/dev.sh clean --dir "$kafka" >/dev/null 2>&1
  for server in minio versitygw; do deploy/storage/server.sh stop $server "$storage/$server"; done
  rm -rf "$storage"
}
trap stop_servers EXIT
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
  bash tests/fault/fleet.sh build/plain/shoal "${SHOAL_FLEET_ROUNDS:-100}" kill stop scale roll &&
    SHOAL_FLEET_LEASE=8 bash tests/fault/fleet.sh build/plain/shoal "${SHOAL_FLEET_ROUNDS:-100}" restart pause plan three slow cut
}

# Runs a command with the S3 server NAME.
with_s3 () { # NAME COMMAND…
  local said
  said=$(deploy/storage/server.sh start "$1" "$storage/$1") || return
  said=${said//AWS_ENDPOINT_URL/SHOAL_TEST_S3}
  eval "${said%% AWS_ACCESS_KEY_ID*}"
  "${@:2}"
}
results () {
  SHOAL_ROUNDS=${SHOAL_ROUNDS:-100} bash tests/e2e/s3_results.sh build/plain/shoal
}
sizes () {
  bash tests/long/sizes.sh build/plain/shoal
}
soak () {
  python3 -B tests/long/soak.py build/plain/shoal "${SHOAL_JOBS:-20000}" sqlite &&
    python3 -B tests/long/soak.py build/plain/shoal "${SHOAL_JOBS:-20000}" kafka
}
kills () {
  python3 -B tests/long/kills.py build/plain/shoal "${SHOAL_KILLS:-1000}"
}
races () {
  local name
  for name in worker merger result; do
    SHOAL_RACE_ROUNDS=${SHOAL_RACE_ROUNDS:-20000} "build/plain/tests/test_unit_${name}_races" || return
  done
}
servers () {
  local dufs=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/dufs
  tools/install.sh web npm || return
  if command -v cargo >/dev/null; then
    [ -x "$dufs/bin/dufs" ] || cargo install -q --locked --root "$dufs" dufs@0.45.0 || return
  else
    echo "NOT INSTALLED: dufs, for want of cargo: not tested here"
  fi
  SHOAL_WEB_SERVERS_MISSING=ok SHOAL_WEB_SERVERS="serve14 http_server serve_index go dufs" bash tests/e2e/web_servers.sh build/dev/shoal
}
deb () {
  tools/install.sh build image package && cmake --preset release && cmake --build --preset release -j2 && bash tests/long/deb.sh build/release/shoal
}
cgroup2 () {
  tools/install.sh run image machine && bash tests/long/cgroup2.sh build/plain/shoal
}
kubernetes () {
  tools/install.sh run image kubernetes && bash tests/long/kubernetes.sh build/plain/shoal
}
judges () {
  local name
  for name in storage_s3 storage_s3_suite storage_s3_front result_result_store; do
    (cd tests && "../build/dev/tests/test_integration_$name") || return
  done
}

[ $# -gt 0 ] || set -- librdkafka campaign model results sizes soak kills races servers judges engines writers deb dockerfile cgroup2 kubernetes
for name; do
  case $name in
    librdkafka) part librdkafka on_newer_librdkafka ;;
    campaign) part campaign campaign ;;
    model) part model tests/model/run.sh -l ;;
    results) part results with_s3 minio results ;;
    sizes) part sizes with_s3 minio sizes ;;
    soak) part soak soak ;;
    kills) part kills kills ;;
    races) part races races ;;
    servers) part servers servers ;;
    engines) part engines bash tests/long/engines.sh build/dev/shoal ;;
    writers) part writers bash tests/long/writers.sh build/dev/shoal ;;
    judges) part judges with_s3 versitygw judges ;;
    deb) part deb deb ;;
    dockerfile) part dockerfile bash tests/long/dockerfile.sh build/plain/shoal ;;
    cgroup2) part cgroup2 cgroup2 ;;
    kubernetes) part kubernetes kubernetes ;;
    *) echo "long.sh: $name: not one of librdkafka, campaign, model, results, sizes, soak, kills, races, servers, judges, engines, writers, deb, dockerfile, cgroup2, kubernetes" >&2; exit 2 ;;
  esac
done
echo "$failed parts failed"
[ $failed -eq 0 ]
