#!/bin/bash
# --device and --gpus: nodes and CDI devices in real containers by crun and runc, of root, in a user namespace and of somebody who isn't
# root; what wasn't asked for isn't there; the policy; a fleet of which one machine has the device. The devices are harmless: /dev/zero and the
# kernel's messages, under other names.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
own_store busybox
"$SHOAL" image import "$layout:latest" --as busybox >/dev/null
make_files in 1
zero=/dev/zero messages=/dev/kmsg rootless=()
mkdir -m 755 nodes cdi drivers
echo driver >drivers/libx.so
if [ "$(id -u)" = 0 ]; then
  mknod -m 666 nodes/zero c 1 5
  mknod -m 666 nodes/kmsg c 1 11
  mknod -m 660 nodes/loop b 7 250
  zero=$PWD/nodes/zero messages=$PWD/nodes/kmsg
  ways=("crun: --oci-runtime crun" "runc: --oci-runtime runc" "userns: --userns 200000:65536")
else
  echo "SKIPPED: only root makes nodes; the machine's own are taken, and root's containers aren't tried"
  ways=("rootless: --oci-runtime crun")
fi
cat >cdi/thing.json <<END
{
  "cdiVersion": "0.6.0", "kind": "vendor.example/thing",
  "devices": [
    {"name": "zero", "containerEdits": {"deviceNodes": [{"path": "/dev/things/zero", "hostPath": "$zero", "type": "c", "major": 1, "minor": 5}],
                                        "env": ["THING=zero"], "hooks": []}},
    {"name": "again", "containerEdits": {"deviceNodes": [{"path": "/dev/things/zero", "hostPath": "$zero"}]}},
    {"name": "other", "containerEdits": {"deviceNodes": [{"path": "/dev/things/zero", "hostPath": "/dev/full"}]}},
    {"name": "hooked", "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/true"}]}},
    {"name": "wrong", "containerEdits": {"deviceNodes": [{"path": "/dev/wrong", "hostPath": "$zero", "minor": 3}]}},
    {"name": "mode", "containerEdits": {"deviceNodes": [{"path": "/dev/mode", "hostPath": "$zero", "fileMode": 1}]}},
    {"name": "list", "containerEdits": {"deviceNodes": [{"path": "/dev/list", "hostPath": "$zero", "permissions": ["r"]}]}},
    {"name": "null", "containerEdits": {"deviceNodes": [{"path": "/dev/kmsg", "hostPath": null, "type": null, "permissions": null}]}},
    {"name": "group", "containerEdits": {"deviceNodes": [{"path": "/dev/z", "hostPath": "$zero"}], "additionalGids": [44]}},
    {"name": "outside", "containerEdits": {"deviceNodes": [{"path": "/etc/zero", "hostPath": "$zero"}]}},
    {"name": "writable", "containerEdits": {"mounts": [{"hostPath": "$PWD/drivers", "containerPath": "/w", "options": ["rw"]}]}},
    {"name": "over", "containerEdits": {"mounts": [{"hostPath": "$PWD/drivers", "containerPath": "/in/below"}]}},
    {"name": "new", "containerEdits": {"intelRdt": {"closID": "x"}}},
    {"name": "folder", "containerEdits": {"deviceNodes": [{"path": "/dev/net", "hostPath": "$PWD/drivers"}]}}
  ],
  "containerEdits": {"env": ["THINGS=by specification"],
                     "mounts": [{"hostPath": "$PWD/drivers/libx.so", "containerPath": "/usr/lib/libx.so", "options": ["ro", "nosuid", "bind"]}]}
}
END
run () { "$SHOAL" run -q --progress none --retries 0 -v in:/in --cdi-spec-dir "$PWD/cdi" "$@"; }
out () { cat "$1/stdout" 2>/dev/null || cat "$1.partial/stdout"; }

# ---- in a container
look='head -c 3 /dev/things/zero | od -An -tx1; echo "$THING, $THINGS"; cat /usr/lib/libx.so; touch /usr/lib/libx.so 2>/dev/null && echo written
chmod 600 /dev/things/zero 2>/dev/null && echo changed; ls /dev | grep -cE "kmsg|fuse|loop|^z$"; exit 0'
for way in "${ways[@]}"; do
  how=${way%%:*}
  read -ra options <<<"${way#*: }"
  expect_exit 0 "$how: a CDI device" run --results "$how-cdi" "${options[@]}" --device vendor.example/thing=zero \
    --device vendor.example/thing=again busybox sh -c "$look"
  expect_same "… is what its specification says, and no more" " 00 00 00
zero, by specification
driver
0" "$(out "$how-cdi")"
  expect_same "… the machine's node is as it was" "$(stat -c %a /dev/zero)" "$(stat -c %a "$zero")"
  expect_exit 0 "$how: a node under another name" run --results "$how-node" "${options[@]}" --device "$zero:/dev/z" busybox \
    sh -c 'head -c 2 /dev/z | od -An -tx1'
  expect_same "… is that device" " 00 00" "$(out "$how-node")"
  expect_exit 0 "$how: without a device" run --results "$how-none" "${options[@]}" busybox \
    sh -c 'ls /dev | grep -xE "z|things|kmsg|fuse|loop.*|m"; echo "$THING"'
  expect_same "… there is none of that" "" "$(out "$how-none")"
done
if [ "$(id -u)" = 0 ]; then
  # What may be opened, by the kernel's rule: this one isn't every container's.
  for runtime in crun runc; do
    expect_exit 0 "$runtime: a device to be written to" run --results "$runtime-w" --oci-runtime $runtime --device "$messages:/dev/m:w" busybox \
      sh -c ': >/dev/m && echo written; (: </dev/m) 2>/dev/null || echo unread'
    expect_same "… can't be read" "written unread" "$(out "$runtime-w" | paste -sd ' ')"
    expect_exit 1 "$runtime: a device to be read" run --results "$runtime-r" --oci-runtime $runtime --device "$messages:/dev/m:r" busybox \
      sh -c ': >/dev/m'
    expect_true "… can't be written to" grep -q 'Operation not permitted' "$runtime-r.partial/stderr"
    expect_exit 0 "$runtime: the next job has none of that" run --results "$runtime-next" --oci-runtime $runtime --device "$zero:/dev/z" busybox \
      sh -c 'ls /dev/m 2>/dev/null; exit 0'
    expect_same "… not even its node" "" "$(out "$runtime-next")"
  done
  group () { run --results "group-$1" --userns "$1" --device vendor.example/thing=group busybox id -G; }
  expect_exit 0 "a group of the device's" group none
  expect_true "… is the command's" grep -qw 44 group-none/stdout
  expect_exit 3 "groups in a user namespace are others" group 200000:65536
  expect_stderr "additionalGids of the specification need a worker that runs as root, with --userns none"
  expect_exit 0 "a block device" run --results block --device "$PWD/nodes/loop:/dev/disk:r" busybox sh -c '[ -b /dev/disk ]'
  chmod 711 "$E2E_WORK" "$PWD"
  mkdir -m 777 at
  cp "$SHOAL" at/shoal
  cp -r "$layout" layout
  chmod -R a+rX layout
  as () { (cd at && setpriv --reuid=65534 --regid=65534 --clear-groups env "HOME=$PWD" "SHOAL_IMAGES=$PWD/store" "XDG_CACHE_HOME=$PWD/cache" "$PWD/shoal" "$@"); }
  as_run () { as run -q --progress none --retries 0 --cdi-spec-dir "$PWD/cdi" "$@"; }
  expect_exit 0 "somebody's image" as image import "$PWD/layout:latest" --as own
  expect_exit 0 "rootless: a CDI device" as_run --results cdi --device vendor.example/thing=zero own sh -c "$look"
  expect_same "… is what its specification says, and no more" " 00 00 00
zero, by specification
driver
0" "$(out at/cdi)"
  expect_exit 3 "rootless: a device only to be read" as_run --results r --device "$messages:/dev/m:r" own true
  expect_stderr "this machine can't keep a container from writing to it"
  chmod 600 nodes/zero
  expect_exit 1 "rootless: a node that its user can't open" as_run --results closed --device "$zero:/dev/z" own sh -c 'head -c 1 /dev/z'
  chmod 666 nodes/zero
fi

# ---- what can't be, by name
refused () { # NAME WORDS…
  expect_exit 3 "$1 is refused" run --results "no-$1" --device "vendor.example/thing=$1" busybox true
  expect_stderr "vendor.example/thing=$1: .*$2"
}
refused missing "no CDI specification in $PWD/cdi has it"
refused hooked "hooks aren't run: they are programs"
expect_exit 0 "null says nothing" run --results null --device vendor.example/thing=null busybox [ -c /dev/kmsg ]
refused list "permissions: expected a string"
refused wrong "the node's minor isn't what the specification says"
refused mode "the node's fileMode isn't what the specification says"
refused outside "/etc/zero: a container has its devices below /dev"
refused writable "option \"rw\" isn't supported"
refused new "intelRdt isn't supported"
refused folder "drivers isn't a device node: it is a folder"
expect_exit 3 "two devices at one place" run --results two --device vendor.example/thing=zero --device vendor.example/thing=other busybox true
expect_stderr "/dev/things/zero would be two devices"
expect_exit 1 "a mount over an input" run --results over --device vendor.example/thing=over busybox true
expect_stderr "a device of the job brings /in/below, and the job itself mounts /in"
expect_exit 3 "a node that isn't there" run --results gone --device /dev/not-there busybox true
expect_stderr "/dev/not-there: No such file"
mkdir second yaml
cp cdi/thing.json second/
touch yaml/nvidia.yml
echo '{' >yaml/bad.json
expect_exit 3 "files of other names" run --results yml --cdi-spec-dir "$PWD/yaml" --gpus all busybox true
expect_stderr "nvidia.com/gpu=all: .*\(1 file \*.yml: only \*.json and \*.yaml are read\); .*/yaml/bad.json: line 2: invalid JSON"
rm yaml/*
cat >yaml/nvidia.yaml <<END
---
cdiVersion: 0.5.0
kind: vendor.example/thing
containerEdits:
  mounts:
  - hostPath: $PWD/drivers/libx.so
    containerPath: /usr/lib/libx.so
    options: [ro, nosuid, bind]
devices:
- name: zero
  containerEdits: &edits
    deviceNodes:
    - {path: /dev/things/zero, hostPath: $zero, type: c, major: 1, minor: 5}
    env: ["THING=zero", THINGS=by specification]
- name: 0
  containerEdits: *edits
END
for name in zero 0; do
  expect_exit 0 "a specification in YAML, device $name" run --results "yaml-$name" --cdi-spec-dir "$PWD/yaml" --device "vendor.example/thing=$name" \
    busybox sh -c "$look"
  expect_same "… is as the same in JSON" " 00 00 00
zero, by specification
driver
0" "$(out "yaml-$name")"
done
echo "kind: vendor.example/thing" >>yaml/nvidia.yaml
expect_exit 3 "a key that is there twice" run --results twice --cdi-spec-dir "$PWD/yaml" --device vendor.example/thing=zero busybox true
expect_stderr "vendor.example/thing=zero: .*; $PWD/yaml/nvidia.yaml: line 17: kind is there twice"
python3 -c 'print("cdiVersion: 0.6.0\nkind: vendor.example/thing\ncontainerEdits:\n  env:\n    - &long A=" + "x" * 100000 + "\n" + "    - *long\n" * 20000 + "devices:\n  - name: zero\n    containerEdits: {}")' >yaml/nvidia.yaml
expect_exit 3 "one long text many times" run --results long --cdi-spec-dir "$PWD/yaml" --device vendor.example/thing=zero busybox true
expect_stderr "yaml/nvidia.yaml: env: A=x*: more than 1 MiB of variables"
sed -i 's/THING=zero/THING=second/' second/thing.json
expect_exit 0 "two folders" run --results last --cdi-spec-dir "$PWD/cdi:$PWD/second:/not/there" --device vendor.example/thing=zero busybox \
  sh -c 'echo $THING'
expect_same "… the last counts" second "$(out last)"
cp second/thing.json second/copy.json
expect_exit 3 "two specifications in one folder" run --results both --cdi-spec-dir "$PWD/second" --device vendor.example/thing=zero busybox true
expect_stderr "both .*/second/.*.json and .*/second/.*.json have it"
expect_exit 2 "no container" run --results p --runtime process --device "$zero:/dev/z" any true
expect_stderr "^shoal: --device: needs a container: --runtime process has none"
expect_exit 2 "another device for the same result" run --results last --device "$zero:/dev/z" busybox sh -c 'echo $THING'
expect_stderr "device"

# ---- docker's words
cat >cdi/gpu.json <<END
{"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": [
  {"name": "0", "containerEdits": {"env": ["GPU0=1"]}}, {"name": "1", "containerEdits": {"env": ["GPU1=1"]}},
  {"name": "all", "containerEdits": {"env": ["ALL=1"], "deviceNodes": [{"path": "/dev/nvidia0", "hostPath": "$zero"}]}}]}
END
gpus () { # EXPECTED WORDS…
  expect_exit 0 "docker run --gpus ${*:2}" "$SHOAL" docker run -q --progress none --rm --cdi-spec-dir "$PWD/cdi" --results "gpus-$((count += 1))" \
    "${@:2}" busybox sh -c 'env | grep -oE "^(GPU.|ALL)=" | sort | tr -d "=" | paste -sd " "'
  expect_same "… gives $1" "$1" "$(out "gpus-$count")"
}
count=0
gpus ALL --gpus all
gpus GPU0 --gpus 1
gpus "GPU0 GPU1" --gpus 2
gpus GPU1 --gpus device=1
gpus "GPU0 GPU1" --gpus '"device=0,1"'
gpus "GPU0" --gpus driver=nvidia,count=1 --device "$zero:/dev/z:rwm"
for wrong in 0 none device= capabilities=gpu ''; do
  expect_exit 2 "--gpus ${wrong@Q}" "$SHOAL" docker run --gpus "$wrong" busybox true
done

# ---- a fleet, whose second worker has the device
export SHOAL_BUS=sqlite:$PWD/fleet.db
unset SHOAL_POLICY
policy () { # FILE DEVICES
  cat >"$1" <<END
{"inputs": ["$PWD"], "results": ["$PWD"], "devices": [$2]}
END
}
policy yes.json '"vendor.example/thing=z*", "/dev/not*"'
policy none.json ''
expect_exit 0 "the policy is told" "$SHOAL" policy check yes.json
expect_stdout '^devices +vendor.example/thing=z\*, /dev/not\*$'
pids=()
has_state () { [ "$("$SHOAL" status --json "$1" | json state)" = "$2" ]; }
submit () { # ID OPTION…
  "$SHOAL" submit --id "$1" --results "$PWD/$1" "${@:2}" -v "$PWD/in:/in" -o o:/out busybox sh -c 'echo $THING'
}
mkdir empty
start_service producer producer --policy yes.json
start_service merger merger --policy yes.json
start_service without worker --policy yes.json --jobs 1 --backoff 50ms --cdi-spec-dir "$PWD/empty"
without=$last
wait_for "the bus" test -s fleet.db
expect_exit 0 "a job for a device that no worker has" submit alone --device vendor.example/thing=zero --retries 0
wait_for "its end" has_state alone failed
expect_true "… is told by name" grep -q 'vendor.example/thing=zero: this machine has no such device' alone.partial/manifest.json
expect_same "… and the machine's fault" infra "$(python3 -c 'import json
print(*{shard["outcome"] for shard in json.load(open("alone.partial/manifest.json"))["shards"]})')"
start_service with worker --policy yes.json --jobs 1 --backoff 50ms --max-infra 1000 --cdi-spec-dir "$PWD/cdi"
kill -9 "$without"
wait "$without" 2>/dev/null || true
start_service without worker --policy yes.json --jobs 1 --backoff 50ms --max-infra 1000 --cdi-spec-dir "$PWD/empty"
for job in 1 2 3; do
  expect_exit 0 "a job for a device that one worker has" submit "one$job" --device vendor.example/thing=zero --retries 0
done
for job in 1 2 3; do
  wait_for "its end" has_state "one$job" succeeded
  expect_same "… is that worker's" zero "$(out "one$job")"
done
expect_exit 0 "a job for a device that isn't allowed" submit other --device vendor.example/thing=other
wait_for "its end" has_state other failed
expect_exit 0 "… is told" "$SHOAL" status other
expect_stdout "policy: devices: vendor.example/thing=other isn't allowed"
expect_exit 0 "a node that isn't allowed" submit node --device "$zero:/dev/not"
wait_for "its end" has_state node failed
expect_exit 0 "… is told by where it is on the machine" "$SHOAL" status node
expect_stdout "policy: devices: $zero:/dev/not isn't allowed"
kill -9 "${pids[@]}" 2>/dev/null || true
wait "${pids[@]}" 2>/dev/null || true
pids=()

# A worker's own policy, which by default gives nothing, whatever the producer lets through.
export SHOAL_BUS=sqlite:$PWD/second.db
start_service producer2 producer --policy none
start_service merger2 merger --policy none
start_service worker2 worker --policy none.json --jobs 1 --cdi-spec-dir "$PWD/cdi"
wait_for "the bus" test -s second.db
expect_exit 0 "a job for a device" submit strict --device vendor.example/thing=zero
wait_for "its end" has_state strict failed
expect_exit 0 "… isn't run by a worker whose policy names none" "$SHOAL" status strict
expect_stdout "shard 0: .*policy: devices: vendor.example/thing=zero isn't allowed"
