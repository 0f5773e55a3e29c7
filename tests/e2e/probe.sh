#!/bin/bash
# What a worker says it can run it has run: a probe starts a real command in each runtime. One that can run nothing is not ready and takes nothing.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
unset SHOAL_POLICY
export SHOAL_IMAGES=$PWD/store # empty: a probe needs no image
make_files in 2
field () { python3 -c 'import json, sys; value = json.load(sys.stdin)
for key in sys.argv[1:]: value = value[int(key) if key.isdigit() else key]
print(value)' "$@" <"$E2E_WORK/out"; }

# ---- a machine that runs containers
expect_exit 0 "a machine that runs containers" "$SHOAL" worker --probe
expect_stdout '^oci: works: crun version [0-9.]+'
expect_stdout '^process: works: no container'
expect_true "nothing is left of it" bash -c '! compgen -G "${TMPDIR:-/tmp}/shoal-*-probe-*"'
expect_exit 0 "the same for programs" "$SHOAL" worker --probe --json
expect_same "works" "True oci True process True" "$(field works) $(field runtimes 0 name) $(field runtimes 0 works) $(field runtimes 1 name) $(field runtimes 1 works)"
expect_same "process isn't among what the policy allows" "True False" "$(field runtimes 0 allowed) $(field runtimes 1 allowed)"
expect_exit 0 "by runc" "$SHOAL" worker --probe --oci-runtime runc
expect_stdout '^oci: works.*: runc version [0-9.]+'
expect_exit 2 "JSON of nothing" "$SHOAL" worker --json
expect_stderr '--json is for worker --probe'

# ---- machines that don't
mkdir bin
expect_exit 3 "without crun and runc" env PATH="$PWD/bin" "$SHOAL" worker --probe
expect_stdout '^oci: fails: neither crun nor runc is installed: apt-get install crun, or use --runtime process'
expect_stdout '^process: works'
expect_stderr 'no runtime that the policy allows works here'
expect_exit 0 "where the policy allows commands without a container" env PATH="$PWD/bin" "$SHOAL" worker --probe --policy none
expect_exit 3 "for programs" env PATH="$PWD/bin" "$SHOAL" worker --probe --json
expect_same "fails" "False False" "$(field works) $(field runtimes 0 works)"
expect_same "and why" "neither crun nor runc is installed: apt-get install crun, or use --runtime process" "$(field runtimes 0 error)"
expect_exit 2 "a scratch folder that can't be written to" unshare --mount sh -c 'mount --bind bin bin && mount -o remount,bind,ro bin && exec "$0" worker --probe --scratch bin' "$SHOAL"
expect_stderr "--scratch: bin: can't be written to: Read-only file system"
# What a container of docker's default does to a process in it: parts of /proc are hidden, so that nobody without privileges may mount another.
chmod 711 "$E2E_WORK"
cp "$SHOAL" shoal
hidden='mount -t tmpfs none /proc/sys && exec setpriv --reuid 10001 --regid 10001 --clear-groups "$@"'
in_pod () { env HOME=/nonexistent SHOAL_IMAGES=/nonexistent unshare --mount sh -c "$hidden" - "$@"; }
expect_exit 3 "an ordinary user in a pod" in_pod "$PWD/shoal" worker --probe
expect_stdout '^oci: fails: .*(/proc|proc).*not permitted'
expect_stdout '^process: fails: .*/proc.*not permitted'

# ---- a service
use_images busybox
export SHOAL_BUS=sqlite:$PWD/bus.db SHOAL_POLICY=$PWD/policy.json
echo "{\"inputs\": [\"$PWD\"], \"results\": [\"$PWD\"]}" >policy.json
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
part () { # LOG COMMAND…
  local log=$1
  shift
  "$@" 2>"$log" &
  pids+=($!)
}
part producer.log "$SHOAL" producer
part merger.log "$SHOAL" merger
part worker.log env PATH="$PWD/bin" "$SHOAL" worker --jobs 1 --listen 127.0.0.1:0
"$SHOAL" submit --id one -v "$PWD/in:/in" --glob '*.txt' --results "$PWD/one" busybox true >/dev/null
wait_for "the worker says why it takes nothing" grep -qE 'level=warn event=runtime_unusable runtime=oci error="neither crun nor runc is installed' worker.log
address=$(sed -n 's/.*event=listening address=\([^ ]*\).*/\1/p' worker.log)
ready () { curl -s -w ' %{http_code}' "http://$address/readyz" | tr '\n' ' '; }
expect_same "it isn't ready" "no command can be run here: neither crun nor runc is installed: apt-get install crun, or use --runtime process  503" "$(ready)"
wait_for "the job is planned" bash -c '"$0" status one --json | grep -q "\"atoms\": *2"' "$SHOAL"
ln -s "$(type -P crun)" bin/crun
expect_exit 0 "once crun is there the job runs" timeout 60 "$SHOAL" watch -q one
expect_same "it is ready" "ok  200" "$(ready)"
expect_true "its start line has the runtime, and why" grep -qE 'event=worker_ready .* runtime=oci .*runtime_by=default description="crun version' worker.log
expect_same "no shard was taken before" 2 "$(grep -c event=shard_started worker.log)"

# ---- one that is ended in the middle of it
mkdir temp
left () { find temp -mindepth 1 -maxdepth 1 | wc -l; }
is_left () { [ "$(left)" -gt 0 ]; }
try_once () { # in the background, until it tries a container; false: that was over before it was seen
  TMPDIR=$PWD/temp start_service ended worker --jobs 1
  until grep -q event=worker_ready ended.err || { grep -q event=service_started ended.err && is_left; }; do :; done
  ! is_left || return 0
  kill $last
  wait $last || true
  return 1
}
try () { wait_for "a container is tried" try_once; }
for round in 1 2 3 4 5; do
  try
  kill $last
  expect_end 0 "round $round: SIGTERM ends a worker that tries a container" $last
  expect_same "round $round: its folder goes with it" 0 "$(left)"
done
kill_one () {
  try
  kill -9 $last
  wait $last 2>/dev/null || true
  # Its lock goes with its slot.
  wait_for "the slot's end" bash -c 'for folder in temp/*; do [ ! -d "$folder" ] || flock -n "$folder" true; done'
  is_left
}
wait_for "one killed in the middle" kill_one
mkdir temp/shoal-mine-trial
expect_true "leaves its folder" test "$(left)" -eq 2
TMPDIR=$PWD/temp start_service after worker --jobs 1
wait_for "the next one" grep -q event=worker_ready after.err
expect_same "removes it, and nothing else" shoal-mine-trial "$(ls temp)"
kill $last
expect_end 0 "and ends" $last

# ---- a run
unset SHOAL_BUS SHOAL_POLICY
expect_exit 2 "a run that can't run anything" timeout 20 env PATH="$PWD/nobin" "$SHOAL" run -v in:/in -o out:/out --glob '*.txt' --results r busybox true
expect_stderr '^shoal: .*neither crun nor runc is installed'
expect_true "makes nothing" bash -c '! compgen -G "r*"'
