#!/bin/bash
# The chart on a real Kubernetes with KEDA, Kafka and S3, in a namespace that enforces Pod Security "restricted": from no worker to some and back, merger and
# workers killed and replaced in mid-job; the plain manifests; values that are refused. As root. Minutes; a quarter of an hour more when the programs aren't built.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
E2E_SECONDS=120
source=$(realpath "$E2E_LIB/../..")
chart=$source/deploy/helm/shoal
manifests=$source/deploy/kubernetes
address=10.97.0.1
at_node () { "$manifests/node.sh" --dir "$PWD/node" "$@"; }
inside () { at_node exec "$@"; }
k () { at_node kubectl -n fleet "$@"; }
stop_all () {
  at_node down
  "$source/deploy/kafka/dev.sh" clean --dir "$E2E_WORK/work/kafka"
  "$source/deploy/storage/server.sh" stop minio "$E2E_WORK/work/minio"
}
at_end stop_all

# ---- a failed build leaves nothing that would be taken for programs
build_keda_failing_at () ( # FUNCTION
  export XDG_CACHE_HOME=$PWD/cache
  . "$manifests/programs.sh"
  say () { :; }
  die () { exit 1; }
  use_go () { :; }
  module_folder () { mkdir -p module/config/crd/bases && touch module/go.mod && echo "$PWD/module"; }
  go_build () { touch "$1/operator" "$1/adapter" && chmod +x "$1"/*; }
  eval "$1 () { return 1; }"
  make_programs keda
)
home=cache/shoal/keda-$(. "$manifests/programs.sh"; version_of keda)
for function in module_folder go_build cp chmod; do
  expect_exit 1 "KEDA's build with a $function that fails" build_keda_failing_at $function
  expect_true "leaves nothing" test ! -e "$home"
done
expect_exit 0 "its build" build_keda_failing_at nothing
expect_true "makes a program" test -x "$home/adapter"
rm "$home/adapter"
expect_exit 0 "a build where one is missing" build_keda_failing_at nothing
expect_true "makes it again" test -x "$home/adapter"

# ---- the node, and what is around it
# As an `up` leaves it that was killed at its start.
network=shoal-$(sha256sum <<< "$PWD/node" | cut -c 1-10)
ip netns add "$network"
mkdir -p node/pki
touch node/pki/ca.key
expect_exit 0 "a node" at_node up
expect_exit 0 "again changes nothing" at_node up
expect_exit 0 "KEDA" at_node keda
said=$(inside "$source/deploy/kafka/dev.sh" start --dir "$PWD/kafka" --address $address)
export SHOAL_BUS=${said##*=}
said=$(SHOAL_SERVER_ADDRESS=$address inside "$source/deploy/storage/server.sh" start minio "$PWD/minio")
eval "$said"
use_images busybox
layout=$E2E_CACHE/layouts/busybox
expect_exit 0 "the image of shoal" "$source/deploy/images/shoal.sh" "$PWD/shoal" "$SHOAL"
expect_exit 0 "on the node" at_node load "$PWD/shoal" localhost/shoal
expect_exit 0 "the job's image, too" at_node load "$layout" localhost/busybox
image=$(<"$E2E_WORK/out")
"$SHOAL" image import "$layout" --as localhost/busybox >/dev/null

# ---- the plain manifests, as an API server with KEDA's definitions takes them
expect_exit 0 "the manifests are the chart's" "$manifests/render.sh" --check
expect_exit 0 "a namespace" at_node kubectl apply -f "$manifests/plain/namespace.yaml"
for folder in "$manifests" "$manifests/keda"; do
  expect_exit 0 "kubectl apply -k ${folder#"$source/"}" at_node kubectl apply --dry-run=server -k "$folder"
  expect_stdout "deployment.apps/shoal-worker-default created"
  expect_true "without a warning of Pod Security" test ! -s "$E2E_WORK/err"
done
expect_stdout "scaledobject.keda.sh/shoal-worker-default created"

# ---- values that are refused
refused () { # VALUE REGEX
  expect_exit 1 "$1 is refused" at_node helm template shoal "$chart" --set bus.url=kafka://b:1 --set queues.default.image=a --set "$1"
  expect_stderr "$2"
}
refused worker.grace=5 "/worker/grace.*minimum: got 5, want 10"
refused queues.default.slots=2 "runs one shard at a time"
refused queues.Default.slots=1 "'Default' does not match pattern"
refused queues.default.replica=1 "additional properties 'replica' not allowed"
refused queues.default.runtime=process "/queues/default/runtime.*value must be one of 'pod', 'nested'"
refused queues.gpu.replicas=1 "queues.gpu.image: the image of the queue's jobs"
refused keda.enabled=true "producer.tokenSecret: keda asks the job API"
refused lease=30 "/lease"
refused worker.deletionCost=2 "/worker/deletionCost"
expect_exit 1 "every pod's account isn't given a right" at_node helm template shoal "$chart" --set bus.url=kafka://b:1 --set queues.default.image=a \
  --set worker.deletionCost=true --set serviceAccount.create=false
expect_stderr 'worker.deletionCost: serviceAccount.name: every pod of the namespace has the account'
expect_exit 1 "nor when it is named" at_node helm template shoal "$chart" --set bus.url=kafka://b:1 --set queues.default.image=a \
  --set worker.deletionCost=true --set serviceAccount.create=false --set serviceAccount.name=default
expect_stderr 'worker.deletionCost: serviceAccount.name: every pod of the namespace has the account'
refused topics.partitions=4097 "/topics/partitions.*maximum"

# ---- what a cloud's webhook would add to each container, it adds to shoal's only
annotations () { # OPTION…; of the pods of workers
  at_node helm template shoal "$chart" --set bus.url=kafka://b:1 --set queues.default.image=a --show-only templates/workers.yaml "$@" \
    | at_node kubectl create --dry-run=client -o json -f - | python3 -c 'import json, sys
print(*sorted("=".join(item) for item in json.load(sys.stdin)["spec"]["template"]["metadata"].get("annotations", {}).items()))'
}
expect_same "clouds' tokens aren't for the command" \
  "azure.workload.identity/skip-containers=agent;command eks.amazonaws.com/skip-containers=agent,command mine=1" "$(annotations --set-string podAnnotations.mine=1)"
expect_same "but for the worker that runs it itself" "mine=1" "$(annotations --set-string podAnnotations.mine=1 --set queues.default.runtime=nested)"

# ---- installed in a restricted namespace
secrets () { # NAMESPACE
  at_node kubectl create namespace "$1" >/dev/null
  at_node kubectl -n "$1" create secret generic shoal-token --from-literal=token=0123456789abcdef0123456789abcdef >/dev/null
  at_node kubectl -n "$1" create secret generic s3 --from-literal=AWS_ACCESS_KEY_ID="$AWS_ACCESS_KEY_ID" \
    --from-literal=AWS_SECRET_ACCESS_KEY="$AWS_SECRET_ACCESS_KEY" >/dev/null
}
secrets fleet
at_node kubectl label namespace fleet pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted >/dev/null
cat >values.yaml <<END
image: {repository: localhost/shoal, tag: latest, pullPolicy: Never}
bus: {url: "$SHOAL_BUS"}
lease: 10s
storage: {secret: s3, s3Endpoint: "$AWS_ENDPOINT_URL"}
policy: {inputs: ["s3://fleet"], results: ["s3://fleet"]}
producer: {tokenSecret: shoal-token}
worker: {replicas: 3, max: 4, grace: 300, inputs: [/in], outputs: [/out], imagePullPolicy: Never, commandResources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}, resources: {requests: {cpu: 10m, memory: 64Mi}}}
queues: {default: {image: "$image", entrypoint: []}}
keda: {pollingInterval: 2, cooldownPeriod: 10, scaleDownWindow: 0}
END
upgrade () { at_node helm upgrade --install shoal "$chart" -n fleet --values values.yaml --wait --timeout 2m "$@"; }
expect_exit 0 "installed, all ready" upgrade
expect_true "without a warning of Pod Security" test ! -s "$E2E_WORK/err"
expect_exit 0 "its test" at_node helm test shoal -n fleet
pods () { k get pods -l app.kubernetes.io/component="$1" --field-selector=status.phase=Running -o name | wc -l; }
expect_same "three workers" 3 "$(pods worker)"
worker=$(k get pods -l app.kubernetes.io/component=worker -o name | sed -n 1p)
of_pod () { k get "$worker" -o json | python3 -c "import json, sys
spec = json.load(sys.stdin)['spec']
$1"; }
expect_same "no secret where the command runs" "agent: bin; command: bin data run" "$(of_pod "print('; '.join(' '.join([part['name'] + ':',
    *sorted({place['name'] for place in part['volumeMounts']}), *map(str, part.get('env', [])), *map(str, part.get('envFrom', []))]) for part in spec['initContainers']))")"
expect_same "outputs are kept on the volume where they are made" "/shoal/data data" "$(of_pod "worker = spec['containers'][0]
state = next(item['value'] for item in worker['env'] if item['name'] == 'SHOAL_STATE_DIR')
print(*next((place['mountPath'], place['name']) for place in worker['volumeMounts'] if state.startswith(place['mountPath'] + '/')))")"
expect_same "the disk has a limit for the command and one for the volumes" "4Gi 10Gi" \
  "$(of_pod "print(*[part['resources']['limits']['ephemeral-storage'] for part in (spec['initContainers'][1], spec['containers'][0])])")"

# ---- what the fleet has to give: the same on one machine
inside "$E2E_PYTHON" "$E2E_LIB/s3.py" make fleet
make_files in 48
inside "$E2E_PYTHON" "$E2E_LIB/s3.py" put in s3://fleet/in
# On the fleet each pod's first shard waits until `release` has been there.
WORK='cp /in/* /out/; echo "shard $SHOAL_SHARD_INDEX"; echo err >&2'
HELD="until [ -e /dev/shm/go ]; do sleep 1; done; sleep 2; $WORK"
release () {
  local pod
  for pod in $(k get pods -l app.kubernetes.io/component=worker -o name); do
    k exec "$pod" -c command -- touch /dev/shm/go >/dev/null 2>&1 || true # it may go or come just now
  done
}
job=(-v s3://fleet/in:/in -o res:/out --glob '*.txt' --batch-size 1)
expect_exit 0 "one after the other" inside "$SHOAL" run "${job[@]}" --jobs 8 --results here localhost/busybox sh -c "$WORK"

same_as_here () { # RESULT
  expect_exit 0 "$1 is brought" inside "$SHOAL" get "s3://fleet/$1" "$1"
  expect_true "its outputs are the same" diff -r here/outputs "$1/outputs"
  expect_true "its stdout" cmp here/stdout "$1/stdout"
  expect_true "its stderr" cmp here/stderr "$1/stderr"
}
# Starts of the job's shards: how many shards were started, and those that were started more than once.
starts () { # JOB
  inside "$SHOAL" topics tail events -n 100000 | python3 -c 'import json, sys
starts = {}
for line in sys.stdin:
    event = json.loads(line)["value"]
    if event["job_id"] == sys.argv[1] and event["kind"] == "STARTED":
        starts.setdefault(event["index"], set()).add((event["attempt"], event["starts"]))
print(len(starts), *sorted(shard for shard, all in starts.items() if len(all) > 1))' "$1"
}
submit () { inside "$SHOAL" submit "${job[@]}" --id "$1" --results "s3://fleet/$1" localhost/busybox sh -c "$HELD"; }
state () { inside "$SHOAL" status "$1" --json | json state; }
ended () { case $(state "$1") in succeeded | failed | partial | cancelled) ;; *) false ;; esac; }
released () { release; ended "$1"; }
no_worker () {
  local left
  left=$(k get pods -l app.kubernetes.io/component=worker -o name) && [ -z "$left" ]
}
passed_seconds () { awk -v since="$1" -v now="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", now - since }'; }

# ---- the merger is killed, a worker's pod is deleted, the workers are replaced: in one job
expect_exit 0 "a job" submit struck
busy () { [ "$(pods worker)" -ge 2 ] && [ "$(inside "$SHOAL" status struck --json | json running)" -ge 2 ]; }
wait_for "two workers busy" busy
k delete pod -l app.kubernetes.io/component=merger --grace-period=0 --force >/dev/null 2>&1
k delete "$(k get pods -l app.kubernetes.io/component=worker -o name | sed -n 1p)" --wait=false >/dev/null
expect_exit 0 "all pods replaced in mid-job" upgrade --set-string podAnnotations.again=1
expect_true "it was in mid-job" test "$(state struck)" = running
wait_for "its end" released struck
expect_same "the job" succeeded "$(state struck)"
same_as_here struck
expect_same "48 shards, each started once" 48 "$(starts struck)"
expect_same "no container was restarted" "looked" "$(k get pods -o json | python3 -c 'import json, sys
pods = json.load(sys.stdin)["items"]
print("looked" if pods else "no pods", *[(pod["metadata"]["name"], part["name"])
    for pod in pods for part in pod["status"].get("containerStatuses", []) if part["restartCount"]])')"

# ---- from no worker to four and back
producer=$(k get service shoal-producer -o 'jsonpath={.spec.clusterIP}')
expect_exit 0 "KEDA says how many" upgrade --set keda.enabled=true --set "keda.producerUrl=http://$producer:8080"
wait_for "no worker" no_worker
expect_true "no worker without a job" no_worker
since=$EPOCHREALTIME
expect_exit 0 "a job to no worker" submit scaled
running () { [ "$(inside "$SHOAL" status scaled --json | json running)" -gt 0 ]; }
wait_for "a shard to run" running
echo "     from submit to the first shard: $(passed_seconds "$since")"
as_many_as_allowed () { [ "$(pods worker)" -eq 4 ]; }
wait_for "four workers" as_many_as_allowed
expect_true "as many workers as allowed" as_many_as_allowed
echo "     to four workers: $(passed_seconds "$since")"
wait_for "its end" released scaled
echo "     to its end: $(passed_seconds "$since")"
expect_same "the job" succeeded "$(state scaled)"
same_as_here scaled
expect_same "48 shards, each started once" 48 "$(starts scaled)"
since=$EPOCHREALTIME
wait_for "no worker again" no_worker
expect_true "and none in the end" no_worker
echo "     to no worker: $(passed_seconds "$since")"

# ---- a scale-in takes the idle pods: of ten workers, three of which are busy, the idle seven
expect_exit 0 "KEDA is out" upgrade
expect_same "without it there is no right and no token" "" "$(k get role,rolebinding -o name; k get pods -o json | grep -o serviceAccountToken)"
expect_exit 0 "ten workers that tell their costs" upgrade --set worker.replicas=10 --set worker.deletionCost=true --set admissionPolicy=true
# Each pod of the fleet's workers that stays: NAME IP COST, COST 1 or 0, or - where none is told.
costs () {
  k get pods -l app.kubernetes.io/component=worker -o json | python3 -c 'import json, sys
for pod in json.load(sys.stdin)["items"]:
    if "deletionTimestamp" not in pod["metadata"]:
        print(pod["metadata"]["name"], pod["status"].get("podIP", "-"), pod["metadata"].get("annotations", {}).get("controller.kubernetes.io/pod-deletion-cost", "-"))'
}
of_cost () { costs | awk -v cost="$1" '$3 == cost { print $1 }'; }
# What the workers themselves say.
busy_pods () {
  local name ip cost
  costs | while read -r name ip cost; do
    ! inside curl -s -m 5 "http://$ip:8081/metrics" | grep -qx 'shoal_slots{state="busy"} 1' || echo "$name"
  done
}
three_are_busy () { [ "$(busy_pods | wc -l)" -eq 3 ]; }
costs_are_told () { [ "$(of_cost 1 | wc -l)" -eq 3 ] && [ "$(of_cost 0 | wc -l)" -eq 7 ]; }
left () { [ "$(costs | wc -l)" -eq "$1" ]; }
ten_are_ready () { [ "$(k get deployment shoal-worker-default -o 'jsonpath={.status.readyReplicas}')" = 10 ]; }
for ((round = 1; round <= ${SHOAL_SCALE_ROUNDS:-5}; round++)); do
  # All have been busy before.
  expect_exit 0 "round $round: a job for all" inside "$SHOAL" submit "${job[@]}" --id "all$round" --results "s3://fleet/all$round" localhost/busybox sh -c "sleep 1; $WORK"
  expect_exit 0 "which ends" timeout $E2E_SECONDS "$manifests/node.sh" --dir "$PWD/node" exec "$SHOAL" watch -q "all$round"
  expect_exit 0 "a job of three shards" inside "$SHOAL" submit -v s3://fleet/in:/in -o res:/out --glob '*.txt' --batch-size 16 --id "three$round" \
    --results "s3://fleet/three$round" localhost/busybox sh -c "until [ -e /dev/shm/go$round ]; do sleep 1; done; $WORK"
  wait_for "three busy workers" three_are_busy
  wait_for "all costs" costs_are_told
  expect_same "those that cost more are the busy ones" "$(busy_pods | sort)" "$(of_cost 1 | sort)"
  busy=$(busy_pods | sort)
  k scale deployment/shoal-worker-default --replicas=3 >/dev/null
  wait_for "seven to go" left 3
  expect_same "the idle seven go" "$busy" "$(costs | cut -d' ' -f1 | sort)"
  for pod in $busy; do k exec "$pod" -c command -- touch "/dev/shm/go$round"; done
  expect_exit 0 "the three end their shards" timeout $E2E_SECONDS "$manifests/node.sh" --dir "$PWD/node" exec "$SHOAL" watch -q "three$round"
  expect_same "each started once" 3 "$(starts "three$round")"
  k scale deployment/shoal-worker-default --replicas=10 >/dev/null
  wait_for "ten again" ten_are_ready
done

# The right is for that alone.
account=system:serviceaccount:fleet:shoal
can () { at_node kubectl -n fleet auth can-i "$@" --as $account; }
expect_exit 0 "workers may change what is said of pods" can patch pods --subresource=status
expect_exit 1 "not pods" can patch pods
expect_exit 1 "nor read them" can get pods
expect_exit 1 "nor secrets" can get secrets
expect_exit 1 "nor what is said of pods elsewhere" at_node kubectl -n default auth can-i patch pods --subresource=status --as $account
pod_names=($(costs | cut -d' ' -f1))
token=$(k create token shoal --bound-object-kind Pod --bound-object-name "${pod_names[0]}")
as_worker () { # POD CHANGE: what the API server answers to the worker of the first pod
  inside curl -sk -o /dev/null -w '%{http_code}' -X PATCH -H "Authorization: Bearer $token" -H 'Content-Type: application/merge-patch+json' -d "$2" \
    "https://127.0.0.1:6443/api/v1/namespaces/fleet/pods/$1/status"
}
cost='{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"5"}}}'
expect_same "its own pod's cost" 200 "$(as_worker "${pod_names[0]}" "$cost")"
expect_same "not another's" 422 "$(as_worker "${pod_names[1]}" "$cost")"
expect_same "nor more of its own" 422 "$(as_worker "${pod_names[0]}" '{"status":{"phase":"Failed"}}')"
expect_same "no token is where the command runs" "" \
  "$(k exec "$(costs | awk 'NR == 1 { print $1 }')" -c command -- sh -c 'ls /var/run/secrets/kubernetes.io/serviceaccount 2>/dev/null; true')"

# ---- what is away for half a minute in mid-job: nothing is lost, nothing runs twice
expect_exit 0 "four workers" upgrade --set worker.replicas=4 --set worker.deletionCost=true
slow () { inside "$SHOAL" submit "${job[@]}" --id "$1" --results "s3://fleet/$1" localhost/busybox sh -c "sleep 3; $WORK"; }
ends () { timeout 300 "$manifests/node.sh" --dir "$PWD/node" exec "$SHOAL" watch -q "$1"; }
part_ends () ( # NAME: a part of the node, at once
  . "$source/deploy/process.sh"
  process_kill "$PWD/node/$1.pid"
)
in_the_middle () { [ "$(inside "$SHOAL" status "$1" --json | json succeeded)" -ge 4 ]; }
outage () { # NAME DOWN UP
  expect_exit 0 "$1: a job" slow "$1"
  wait_for "its middle" in_the_middle "$1"
  expect_exit 0 "$1: away" $2
  sleep 30
  expect_exit 0 "$1: back" $3
  expect_exit 0 "$1: the job ends" ends "$1"
  same_as_here "$1"
  expect_same "$1: 48 shards, each started once" 48 "$(starts "$1")"
}
api_up () { at_node up && k wait --for=condition=Ready pod -l app.kubernetes.io/component=worker --timeout=60s; }
broker () { inside "$source/deploy/kafka/dev.sh" "$@" --dir "$PWD/kafka"; }
outage api "part_ends api" api_up
outage broker "broker stop" "broker start"
expect_same "no worker was restarted meanwhile" "" "$(k get pods -l app.kubernetes.io/component=worker -o json | python3 -c 'import json, sys
for pod in json.load(sys.stdin)["items"]:
    for part in pod["status"]["containerStatuses"]:
        if part["restartCount"]:
            print(pod["metadata"]["name"], part["name"])')"

# A rollback in the middle of a job, behind an upgrade in the middle of it.
expect_exit 0 "a job" slow rolled
wait_for "its middle" in_the_middle rolled
expect_exit 0 "an upgrade" upgrade --set worker.replicas=4 --set-string podAnnotations.again=2
expect_exit 0 "taken back" at_node helm rollback shoal -n fleet --wait --timeout 3m
expect_exit 0 "the job ends" ends rolled
same_as_here rolled
expect_same "48 shards, each started once" 48 "$(starts rolled)"

# ---- crun in the worker's container, privileged: the node has no user namespaces for pods
expect_exit 0 "removed" at_node helm uninstall shoal -n fleet --wait --timeout 3m
secrets nested
chmod 755 "$E2E_CACHE" "$SHOAL_IMAGES"
expect_exit 0 "workers that make containers" at_node helm upgrade --install shoal "$chart" -n nested --values values.yaml --wait --timeout 2m \
  --set worker.runtime=nested --set worker.privileged=true --set worker.slots=2 --set worker.replicas=1 --set "worker.images.hostPath.path=$SHOAL_IMAGES"
expect_exit 0 "a job" slow nested
expect_exit 0 "ends" ends nested
same_as_here nested
expect_same "48 shards, each started once" 48 "$(starts nested)"
expect_exit 0 "with limits" inside "$SHOAL" submit "${job[@]}" --batch-size 48 --memory 20m --id limited --results s3://fleet/limited localhost/busybox sh -c 'tail /dev/zero'
expect_exit 1 "that end a command" ends limited
expect_exit 0 "are told" inside "$SHOAL" status limited
expect_stdout 'out of memory'
expect_exit 0 "removed" at_node helm uninstall shoal -n nested --wait --timeout 3m

# ---- nothing is left of the node
groups () { find /sys/fs/cgroup -type d -name "$network" | wc -l; }
expect_true "it has control groups of its own" test "$(groups)" -gt 0
expect_exit 0 "down" at_node down
expect_same "which are removed" 0 "$(groups)"
expect_true "and its network" test ! -e "/run/netns/$network"
