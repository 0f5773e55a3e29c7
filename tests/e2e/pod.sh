#!/bin/bash
# A worker in a pod: commands run in the user's unchanged image beside it, by an agent that is the first process there. All parts are an ordinary user's, without any capability,
# as in a pod that Pod Security calls restricted. The containers are crun's (lib/pod.sh); Kubernetes isn't needed.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
[ "$(id -u)" = 0 ] || { echo "SKIPPED: a pod's container is made by root here"; ok "left out for an ordinary user"; exit; }
unset SHOAL_POLICY
use_images busybox
rootfs=$SHOAL_IMAGES/images/$("$SHOAL" image list --json | python3 -c 'import json, sys
print(next(image["digest"].split(":")[1] for image in map(json.loads, sys.stdin) if image["name"] == "busybox:latest"))')/rootfs
id=$(image_id busybox:latest)
digest=sha256:$(sha256sum <<<manifest | cut -d' ' -f1)
unset SHOAL_IMAGES

export POD_USER=10001 POD_AGENT=$(dirname "$SHOAL")/worker/agent/agent
mkdir pod
at_end 'bash "$E2E_LIB/pod.sh" stop "$E2E_WORK/work/pod" >/dev/null 2>&1 || true'
neighbour () { bash "$E2E_LIB/pod.sh" "$1" pod "${@:2}"; }
neighbour start "$rootfs"

# Everything of shoal is that user from here on.
chmod 711 "$E2E_WORK"
cp "$SHOAL" program
printf '#!/bin/sh\nexec setpriv --reuid 10001 --regid 10001 --clear-groups --bounding-set=-all --no-new-privs "%s" "$@"\n' "$PWD/program" >shoal
chmod 755 program shoal
SHOAL=$PWD/shoal
make_files in 20
export HOME=$PWD SHOAL_BUS=sqlite:$PWD/bus.db SHOAL_POLICY=$PWD/policy.json
echo "{\"inputs\": [\"$PWD\"], \"results\": [\"$PWD\"]}" >policy.json
export SHOAL_POD_SOCKET=$PWD/pod/run/agent.sock SHOAL_POD_FOLDER=$PWD/pod/data
chown 10001:10001 . in in/* pod

# ---- what is said before anything runs
expect_exit 2 "a pod runs a shard at a time" "$SHOAL" worker --runtime pod --pod-image busybox --jobs 2
expect_stderr '^shoal: --jobs 2: a pod runs one shard at a time; have more pods instead'
expect_exit 2 "which image isn't said" "$SHOAL" worker --runtime pod
expect_stderr '^shoal: --runtime pod: --pod-image \(or SHOAL_POD_IMAGE\) has to say which image'
expect_exit 2 "no digest" "$SHOAL" worker --runtime pod --pod-image busybox@sha256:12
expect_stderr '--pod-image: busybox@sha256:12: expected sha256: and 64 hexadecimal digits'
expect_exit 2 "an id that is none" "$SHOAL" worker --runtime pod --pod-image busybox --pod-image-id 12
expect_exit 2 "options of a pod without one" "$SHOAL" worker --pod-image busybox
expect_stderr '^shoal: --pod-image and its like are for --runtime pod'
expect_exit 2 "options of other containers" "$SHOAL" worker --runtime pod --pod-image busybox --oci-runtime crun
expect_stderr '^shoal: --oci-runtime, --userns, --images and --cdi-spec-dir are for containers that the worker makes'
expect_exit 2 "one of devices" "$SHOAL" worker --runtime pod --pod-image busybox --cdi-spec-dir /etc/cdi
expect_stderr '^shoal: --oci-runtime, --userns, --images and --cdi-spec-dir are for containers that the worker makes'
expect_exit 2 "a volume that isn't there" "$SHOAL" worker --runtime pod --pod-image busybox --pod-folder /no/such
expect_stderr '^shoal: --pod-folder: /no/such: No such file or directory'

# ---- a probe runs a command through the agent
export SHOAL_POD_IMAGE=busybox:latest@$digest SHOAL_POD_IMAGE_ID=$id
expect_exit 0 "a pod that works" "$SHOAL" worker --probe --runtime pod
expect_stdout "^pod: works: busybox:latest@$digest beside this container, at $SHOAL_POD_SOCKET\$"
expect_exit 3 "a pod without an agent" "$SHOAL" worker --probe --runtime pod --pod-socket "$PWD/none.sock"
expect_stdout "^pod: fails: the pod's agent: $PWD/none.sock: No such file or directory"
expect_exit 2 "an agent that isn't the first process" "$POD_AGENT" serve "$PWD/other.sock"
expect_stderr "isn't the first process of its container"

# ---- a job
start_service producer producer
start_service merger merger
start_service worker worker --runtime pod --backoff 50ms --listen 127.0.0.1:0
worker=$last
listens () { sed -n 's/.*event=listening address="\{0,1\}\([^ "]*\).*/\1/p' worker.err | grep .; }
wait_for "the worker to listen" listens
address=$(listens)
ready () { curl -s -m 5 -w ' %{http_code}' "http://$address/readyz" | tr '\n' ' '; }
is_ready () { [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://$address/readyz")" = "$1" ]; }
wait_for "the worker to be ready" is_ready 200
submit () { # ID OPTION… IMAGE COMMAND…
  "$SHOAL" submit --id "$1" -v "$PWD/in:/in" -o res:/out --glob '*.txt' --results "$PWD/$1" --retries 0 "${@:2}" >submitted 2>&1 || { cat submitted; exit 1; }
}
watch () { timeout 60 "$SHOAL" watch -q "$1"; }
mark=98765.1$$ # that nobody else sleeps for
script='for f in /in/*; do sed s/^/of/ "$f" >"/out/${f##*/}"; done; (setsid sleep '$mark' &); (setsid sh -c "trap \"\" TERM; sleep '$mark'" &); cat /.shoal/atoms | tr "\0" "\n"; echo "$OF_IMAGE" >&2'
mkdir sequential
for f in in/*; do sed s/^/of/ "$f" >"sequential/${f##*/}"; done
submit twenty --batch-size 1 busybox sh -c "$script"
expect_exit 0 "twenty shards" watch twenty
expect_true "give what a sequential run does" diff -r sequential twenty/outputs/res
expect_same "each was started once" 20 "$(grep -c event=shard_started worker.err)"
expect_same "what they print is kept" "$(for f in in/*; do echo "/$f"; done)" "$(cat twenty/stdout)"
expect_same "apart" "$(for f in in/*; do echo yes; done)" "$(cat twenty/stderr)"
left () { grep -zxl "98765[.]${mark#*.}" /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }
expect_same "nothing of their commands is left" 0 "$(left)"
expect_same "nor of their files" "" "$(find pod/data -mindepth 2 ! -path 'pod/data/.*')"

# Inputs of another file system are mounted elsewhere, and copied here; a volume that isn't sliced as well.
mkdir other
mount -t tmpfs -o size=1m none other
at_end 'umount "$E2E_WORK/work/other"'
mkdir other/whole
cp in/* other
echo whole >other/whole/file
ln -s file other/whole/link
chown -R 10001:10001 other
"$SHOAL" submit --id other -v "$PWD/other:/in" -o res:/out --glob '*.txt' --batch-size 9 --results "$PWD/other-result" --retries 0 busybox \
  sh -c 'for f in /in/*; do sed s/^/of/ "$f" >"/out/${f##*/}"; done; echo x >>/in/f001.txt; touch /in/new; true' >/dev/null
expect_exit 0 "inputs of another file system" watch other
expect_true "give the same" diff -r sequential other-result/outputs/res
expect_true "and stay what they are" bash -c 'for f in in/*; do cmp "$f" "other/${f##*/}" || exit 1; done; [ ! -e other/new ]'
"$SHOAL" submit --id whole-volume -v "$PWD/other/whole:/in" -o res:/out --results "$PWD/whole-volume" --retries 0 busybox cat /in/file /in/link >/dev/null
expect_exit 0 "a volume that isn't sliced" watch whole-volume
expect_same "is there completely" "whole
whole" "$(cat whole-volume/stdout)"

submit reduced --batch-size 5 --reduce busybox --reduce-command 'sh -c "cat /shards/*/res/* >/out/all"' busybox sh -c 'cp /in/* /out'
expect_exit 0 "a reduce step" watch reduced
expect_same "sees what the shards made" "$(cat in/*)" "$(cat reduced/outputs/res/all)"

submit failing --batch-size 7 --success-codes 0 busybox sh -c 'echo "$SHOAL_SHARD_INDEX" >/out/$SHOAL_SHARD_INDEX; [ "$SHOAL_SHARD_INDEX" != 1 ] || exit 9'
expect_exit 1 "a shard that fails" watch failing
expect_same "its exit code is told" "9" "$(cat failing*/shards/00001/exit_code)"
submit missing --batch-size 20 busybox no-such-program
expect_exit 1 "a program that isn't there" watch missing
expect_exit 0 "is the job's mistake" "$SHOAL" status missing
expect_stdout 'starting no-such-program: there is no such program in PATH'
submit late --batch-size 20 --timeout 500ms --stop-timeout 200ms busybox sh -c 'trap "" TERM; (setsid sleep '$mark' &); while :; do sleep 0.1; done'
expect_exit 1 "a timeout" watch late
expect_exit 0 "is told" "$SHOAL" status late
expect_stdout 'timeout after 500 ms, killed by signal 9'
expect_same "and ends all that runs" 0 "$(left)"
submit network --batch-size 20 busybox sh -c 'nc -l -p 1234 -w 1 2>&1; ping -c 1 127.0.0.1 2>&1; true'
expect_exit 0 "a command without a network" watch network
expect_true "has none" grep -q "can't create raw socket\|Address family not supported" network/stdout
submit secrets --batch-size 20 busybox sh -c 'env; ls -a / /shoal /shoal/run; ls "$0" 2>&1; true' "$PWD"
expect_exit 0 "what a command sees" watch secrets
expect_same "nothing of the worker" 0 "$(grep -cE 'SHOAL_(BUS|POLICY|POD)|bus.db' secrets/stdout)"

# ---- what isn't its job is left to others, with the reason
refused () { # WHAT REASON OPTION… IMAGE: nobody else takes it here, so that it is given up after some tries
  local id=refused$passed
  submit "$id" --batch-size 20 "${@:3}" sh -c 'echo tried'
  expect_exit 3 "$1" watch "$id"
  expect_stderr "shard 0: $2"
  expect_same "it isn't tried" "" "$(cat "$id.partial"/shards/*/stdout 2>/dev/null)"
}
refused "another image" "the job's image is alpine, this pod's is busybox:latest@$digest" alpine
refused "another digest" "the job's image is busybox@sha256:0+, this pod's is busybox:latest@$digest" "busybox@sha256:$(printf '%064d' 0)"
refused "another id" "the job's image id is sha256:0+, this pod's is $id" --image-id "sha256:$(printf '%064d' 0)" busybox
refused "another mount" 'mount /other: this pod has none' -o more:/other busybox
refused "more than it has" '--tmpfs: this worker.s pod doesn.t have it' --tmpfs /x busybox
submit pinned --batch-size 20 --image-id "$id" busybox true
expect_exit 0 "its own id" watch pinned
expect_same "is what is told of it" "$id" "$(python3 -c 'import json; print(json.load(open("pinned/manifest.json"))["job"]["image_id"])')"

# ---- its container ends
agent=$(neighbour process)
submit ended --batch-size 20 busybox sh -c 'echo >/out/began; while [ ! -e /tmp/before ]; do echo >/tmp/before; sleep '$mark'; done'
wait_for "it runs" test -e pod/data/out/began
kill -9 "$agent"
neighbour stop
neighbour start -
expect_exit 0 "with the next container the shard runs again" watch ended
expect_true "why is in the log" grep -q "the pod's container ended while the command ran" worker.err
expect_same "nothing is left of the first" 0 "$(left)"

# A worker beside which nothing answers isn't ready, and takes nothing: no attempt is spent on it.
kill -9 "$(neighbour process)"
neighbour stop
wait_for "the worker to notice" is_ready 503
expect_true "it says why it isn't ready" grep -qE "no command can be run here: the pod's agent: .*/agent.sock: (Connection refused|No such file)" <<<"$(ready)"
in_its_log () { grep -q "event=runtime_unusable runtime=pod error=\"the pod's agent: " worker.err; }
wait_for "the same in its log" in_its_log
expect_true "and in its log" in_its_log
before=$(grep -c event=shard_started worker.err)
submit waiting --batch-size 20 busybox true
waits () { [ "$("$SHOAL" status --json waiting | json state)" = running ]; }
wait_for "the job to be planned" waits
expect_same "nor has it a slot" 0 "$(curl -s "http://$address/metrics" | grep '^shoal_slots{' | awk '{ n += $2 } END { print n }')"
sleep 2
expect_same "nothing is taken meanwhile" "$before" "$(grep -c event=shard_started worker.err)"
expect_true "it is alive" test "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://$address/healthz")" = 200
neighbour start -
expect_exit 0 "with the next container it goes on" watch waiting
expect_true "and is ready" is_ready 200
expect_same "one attempt was enough" 1 "$(($(grep -c event=shard_started worker.err) - before))"
kill "$worker"
expect_end 0 "the worker ends" "$worker"

# The same where inputs are fetched ahead: what is ahead goes back to the others.
start_service ahead worker --runtime pod --prefetch-bytes 1m --backoff 50ms --idle-timeout 3s
submit many --batch-size 1 busybox sh -c 'while [ ! -e /tmp/go ]; do echo >/out/began; sleep 0.1; done'
wait_for "the first to run" test -e pod/data/out/began
kill -9 "$(neighbour process)"
neighbour stop
left_the_bus () { grep -q event=runtime_unusable ahead.err; }
wait_for "a worker that fetches ahead to notice" left_the_bus
expect_same "one attempt was spent" 1 "$(grep -c event=shard_started ahead.err)"
expect_end 3 "… it ends as it was idle for too long" $last
expect_true "… and says why" grep -q "idle for 3000 ms, as no command can be run here: the pod's agent: " ahead.err
"$SHOAL" cancel many >/dev/null
neighbour start -

# ---- memory
group=/sys/fs/cgroup/memory/shoal-e2e-pod-$$
if mkdir "$group" 2>/dev/null && echo 33554432 >"$group/memory.limit_in_bytes"; then
  at_end 'rmdir "$group"'
  neighbour stop
  rm -rf pod/rootfs
  export POD_GROUP=$group
  neighbour start "$rootfs"
  start_service limited worker --runtime pod --backoff 50ms
  submit fits --batch-size 20 --memory 32m busybox true
  expect_exit 0 "a job that its memory is enough for" watch fits
  refused "one that wants more" '--memory: the job has 34603008, this pod.s container 33554432' --memory 33m busybox
  submit hungry --batch-size 20 --memory 20m busybox sh -c 'tail /dev/zero'
  expect_exit 1 "a command that takes more than there is" watch hungry
  expect_exit 0 "is told as that" "$SHOAL" status hungry
  expect_stdout 'out of memory, killed by signal 9'
  # With cgroup v2 the kernel ends the whole container, and kubelet starts it again.
  agent=$(neighbour process)
  submit whole --batch-size 20 --memory 20m busybox sh -c 'echo >/out/began; sleep '$mark
  wait_for "it runs" test -e pod/data/out/began
  kill -9 "$agent"
  neighbour stop
  neighbour start -
  expect_exit 1 "a container that was ended for its memory" watch whole
  expect_exit 0 "is told as that" "$SHOAL" status whole
  expect_stdout 'out of memory, killed by signal 9'
  # Whether it comes back says why it ended; a cancelled job doesn't wait for that, and neither does a worker that is told to go at once.
  lose () { # ID
    agent=$(neighbour process)
    rm -f pod/data/out/began # of the one before, whose container was lost
    submit "$1" --batch-size 20 --memory 20m busybox sh -c 'echo >/out/began; sleep '$mark
    wait_for "it runs" test -e pod/data/out/began
    kill -9 "$agent"
    neighbour stop
  }
  lose lost-cancelled
  "$SHOAL" cancel lost-cancelled >/dev/null
  expect_exit 1 "a cancelled job whose container is lost" watch lost-cancelled
  expect_true "ends as that" grep -qE 'event=shard_done job=lost-cancelled .*outcome=cancelled' limited.err
  neighbour start -
  lose lost-stopped
  kill $last
  wait_for "the first signal to be heard" grep -q event=draining limited.err # two at once may be one
  kill $last
  expect_end 0 "a worker that is told to go at once" $last
  expect_same "gives the shard back, without waiting for why it ended" "shard_released" \
    "$(grep -oE 'event=shard_(done|released) job=lost-stopped ' limited.err | sed 's/event=//; s/ .*//')"
  neighbour start -
  rm -f pod/data/out/began
  start_service again worker --runtime pod
  wait_for "the shard elsewhere" test -e pod/data/out/began
  "$SHOAL" cancel lost-stopped >/dev/null
  kill $last
  expect_end 0 "the worker ends" $last
  neighbour stop
else
  echo "SKIPPED: no control group of memory, version 1, can be made here"
fi
