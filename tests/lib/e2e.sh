# e2e.sh — what the program tests share. To be sourced: . "$(dirname "$0")/../lib/e2e.sh" "$@"
#
# The program under test is $1. Gives a folder of its own ($PWD, removed at the end), an image store with busybox, and the functions below.
# A script is a list of checks; each prints ok or FAIL, the last line is "N passed, N failed".
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 PROGRAM" >&2; exit 2; }
unset SHOAL_BUS SHOAL_KAFKA_CONFIG
SHOAL=$(readlink -f "$1")
E2E_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
E2E_PYTHON=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/venv/bin/python # with other people's clients, see tools/install.sh
E2E_CACHE=${SHOAL_TEST_CACHE:-${TMPDIR:-/tmp}/shoal-test-cache-$(id -u)}
E2E_WORK=$(mktemp -d "${TMPDIR:-/tmp}/shoal-e2e-XXXXXX")
E2E_SECONDS=${SHOAL_PATIENCE:-60} # how long a condition is waited for
passed=0
failed=0

# at_end COMMAND: run when the script ends, however it does; the last one first.
e2e_cleanups=()
at_end () {
  e2e_cleanups=("$1" "${e2e_cleanups[@]}")
}

e2e_finish () {
  local code=$? cleanup
  # A child that is told to end before its exec gets here as well.
  [ "$BASHPID" -eq $$ ] || exit "$code"
  trap - EXIT
  set +e
  for cleanup in "${e2e_cleanups[@]}"; do eval "$cleanup"; done
  if [ "$code" -ne 0 ]; then
    echo "FAIL the script ended early, exit $code"
    failed=$((failed + 1))
  fi
  cd /
  rm -rf "$E2E_WORK" || { echo "FAIL $E2E_WORK can't be removed"; failed=$((failed + 1)); }
  echo "$passed passed, $failed failed"
  # In a trap a bare exit gives the status from before the trap.
  if [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]; then exit 0; else exit 1; fi
}
trap e2e_finish EXIT
trap 'exit 130' INT TERM

# The store is filled once per machine; several scripts may do so at once. An import is atomic.
use_images () { # NAME…
  local name
  export SHOAL_IMAGES=$E2E_CACHE/store
  mkdir -p "$E2E_CACHE"
  for name; do
    if ! "$SHOAL" image list | cut -f1 | grep -qx "$name:latest"; then
      bash "$E2E_LIB/images.sh" "$E2E_CACHE/layouts" "$name" >"$E2E_WORK/images.log" 2>&1 \
        || { cat "$E2E_WORK/images.log"; exit 1; }
      "$SHOAL" image import "$E2E_CACHE/layouts/$name" --as "$name"
    fi
  done
}

# A store of the script's own, empty, and in $layout the OCI layout of an image of images.sh.
own_store () { # NAME
  export SHOAL_IMAGES=$PWD/store
  mkdir -p "$E2E_CACHE"
  bash "$E2E_LIB/images.sh" "$E2E_CACHE/layouts" "$1" 2>images.log || { cat images.log; exit 1; }
  layout=$E2E_CACHE/layouts/$1
}
image_id () { # NAME:TAG: the image's id in the store
  "$SHOAL" image list --json | python3 -c 'import json, sys
for line in sys.stdin:
    image = json.loads(line)
    if image["name"] == sys.argv[1]:
        print(image["id"])' "$1"
}

ok () { # WHAT
  passed=$((passed + 1))
  echo "ok   $1"
}

fail () { # WHAT
  failed=$((failed + 1))
  echo "FAIL $1"
  [ ! -s "$E2E_WORK/out" ] || sed 's/^/     out: /' "$E2E_WORK/out" | tail -20
  [ ! -s "$E2E_WORK/err" ] || sed 's/^/     err: /' "$E2E_WORK/err" | tail -20
}

# expect_exit CODE WHAT COMMAND…: runs it with its output in ./…/out and err, checks the exit code.
expect_exit () {
  local code=$1 what=$2 got=0
  shift 2
  "$@" >"$E2E_WORK/out" 2>"$E2E_WORK/err" </dev/null || got=$?
  if [ "$got" -eq "$code" ]; then ok "$what"; else fail "$what: exit $got instead of $code"; fi
}

# What the last expect_exit's command said: an extended regular expression.
expect_stderr () { # REGEX
  if grep -qE -- "$1" "$E2E_WORK/err"; then ok "says: $1"; else fail "stderr doesn't say: $1"; fi
}

expect_stdout () { # REGEX
  if grep -qE -- "$1" "$E2E_WORK/out"; then ok "prints: $1"; else fail "stdout doesn't say: $1"; fi
}

expect_one_line () {
  if [ "$(wc -l <"$E2E_WORK/err")" -eq 1 ]; then ok "in one line"; else fail "not one line on stderr"; fi
}

expect_same () { # WHAT EXPECTED GOT
  if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: expected \"$2\", got \"$3\""; fi
}

expect_true () { # WHAT COMMAND…
  local what=$1
  shift
  if "$@"; then ok "$what"; else fail "$what"; fi
}

# wait_for WHAT COMMAND…: until it succeeds.
wait_for () {
  local what=$1 end=$((SECONDS + E2E_SECONDS))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      fail "waited ${E2E_SECONDS} s for: $what"
      return 1
    fi
    read -rt 0.05 <> <(:) || true
  done
}

# Services in the background, ended with the script. start_service LOG COMMAND OPTION… sets $last, adds to $pids, and writes LOG.out and LOG.err.
pids=()
e2e_kill_services () {
  [ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null
  wait 2>/dev/null
}
start_service () {
  local log=$1
  shift
  # Made here, so that nobody finds what an earlier one wrote before the new one has begun.
  : >"$log.err"
  [ ${#pids[@]} -gt 0 ] || at_end e2e_kill_services
  env --default-signal=INT,QUIT "$SHOAL" "$@" >"$log.out" 2>"$log.err" &
  last=$!
  pids+=($last)
}

# as_in_a_terminal COMMAND…: a script's background processes have some signals ignored, which stays.
as_in_a_terminal () { exec env --default-signal=INT,QUIT "$@"; }

# A background process of ours ends within the time allowed, with exit code CODE.
expect_end () { # CODE WHAT PID
  local got=0
  wait_for "the end of process $3" e2e_gone "$3" || kill -9 "$3"
  wait "$3" || got=$?
  if [ "$got" -eq "$1" ]; then ok "$2"; else fail "$2: exit $got instead of $1"; fi
}
e2e_gone () {
  ! kill -0 "$1" 2>/dev/null || [ "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" = Z ]
}

# Small files NAME001 … with their number inside.
make_files () { # FOLDER COUNT [NAME [SUFFIX]]
  local i name=${3:-f} suffix=${4:-.txt}
  mkdir -p "$1"
  for ((i = 1; i <= $2; i++)); do
    printf '%d\n' "$i" >"$1/$name$(printf %03d "$i")$suffix"
  done
}

# s3 COMMAND …: somebody else's client, with its server and user in the environment (use_s3).
use_s3 () {
  : "${SHOAL_TEST_S3:?is not set: tests/run.sh sets it, deploy/storage/server.sh start minio brings such a server up}"
  export AWS_ENDPOINT_URL=$SHOAL_TEST_S3 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testsecret AWS_EC2_METADATA_DISABLED=true
}
s3 () { "$E2E_PYTHON" "$E2E_LIB/s3.py" "$@"; }

# peer SCRIPT ARGUMENT…: a program of tests/lib that prints its port, until we end. Sets $port.
e2e_peers=0
peer () {
  local said=$E2E_WORK/peer.$((e2e_peers += 1))
  python3 -B "$E2E_LIB/$1" "${@:2}" >"$said" 2>"$said.err" &
  at_end "kill -9 $! || true"
  disown
  wait_for "$1" test -s "$said"
  port=$(<"$said")
}

# apart NAME COMMAND…: in the background, with a file system of its own mounted over apart/NAME, its home; nobody else sees what is in it. Output in
# apart/NAME.out and .err. Sets $!.
apart () {
  local folder=$PWD/apart/$1
  shift
  mkdir -p "$folder"
  SHOAL_LOG=info unshare --mount bash -c 'mount -t tmpfs tmpfs "$1" && cd "$1" && mkdir home state && HOME=$1/home SHOAL_STATE_DIR=$1/state exec "${@:2}"' \
    - "$folder" "$@" >"$folder.out" 2>"$folder.err" &
}

# The member NAME of the JSON object on standard input.
json () { # NAME
  python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

# A manifest is what schemas/manifest.schema.json says.
expect_manifest () { # FILE
  expect_true "$1 follows its schema" /usr/bin/python3 -c 'import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[2])), json.load(open(sys.argv[1])))' "$E2E_LIB/../../schemas/manifest.schema.json" "$1"
}

# A command for a container that copies its files to /out.
COPY='for f in /in/*; do cp "$f" /out/; done'

# What the services of a script let jobs do: what is in its own folder, and all that the defaults don't; a script that is about policies has its own.
e2e_policy () { # FILE [FOLDER…]
  local folder folders=
  for folder in "${@:2}"; do folders+=", \"$folder\""; done
  cat >"$1" <<END
{
  "runtimes": ["oci", "process"],
  "networks": ["none", "host"],
  "symlinks": ["beneath", "follow", "skip"],
  "inputs": ["*"$folders],
  "results": ["*"$folders]
}
END
}

cd "$E2E_WORK"
e2e_policy policy.json "$(pwd -P)"
export SHOAL_POLICY=$E2E_WORK/policy.json
mkdir work
cd work
