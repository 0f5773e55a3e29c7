#!/bin/bash
# A worker tells Kubernetes whether its pod is busy, so that idle pods are removed first: what it asks of the API server, how often, and what it says when
# that is refused or away. The server is a stand-in.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
[ "$(id -u)" = 0 ] || { echo "SKIPPED: a pod's files are mounted by root here"; ok "left out for an ordinary user"; exit; }
make_files in 1
export SHOAL_BUS=sqlite:$PWD/bus.db
account=/var/run/secrets/kubernetes.io/serviceaccount

openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=node -days 2 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=api 2>/dev/null
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo "subjectAltName=IP:127.0.0.1") -out server.crt 2>/dev/null
cat server.crt server.key >server.pem
mkdir api
api_server () {
  rm -f api/port
  /usr/bin/python3 -B "$E2E_LIB/api_server.py" server.pem api &
  pids+=($!)
  wait_for "the server" test -f api/port
}
at_end e2e_kill_services
api_server
export KUBERNETES_SERVICE_HOST=127.0.0.1
KUBERNETES_SERVICE_PORT=$(<api/port)
export KUBERNETES_SERVICE_PORT

# In a pod the token is mounted; here each worker has a /var/run of its own with it.
printf '#!/bin/bash\nexec unshare --mount bash -c '\''mount -t tmpfs tmpfs /var/run && mkdir -p "$0" && ln -s "$1/ca.crt" "$1/token" "$0/" && exec "${@:2}"'\'' %q %q %q "$@"\n' \
  "$account" "$PWD" "$SHOAL" >in_pod
chmod +x in_pod
program=$SHOAL
echo first-token >token

# ---- what is said before anything runs
expect_exit 2 "no pod's name" "$SHOAL" worker --deletion-cost fleet
expect_stderr '^shoal: --deletion-cost: "fleet": expected NAMESPACE/POD'
expect_exit 2 "nor one that leads elsewhere" "$SHOAL" worker --deletion-cost fleet/../secrets
expect_stderr '"fleet/../secrets": expected NAMESPACE/POD'
expect_exit 2 "no token" "$SHOAL" worker --deletion-cost fleet/one
expect_stderr "^shoal: --deletion-cost: $account/token isn't there"
expect_exit 2 "no cluster" env -u KUBERNETES_SERVICE_HOST "$SHOAL" worker --deletion-cost fleet/one
expect_stderr "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT aren't set: this isn't a pod"

# ---- idle, busy, idle
asked () { [ "$(wc -l <api/requests)" -ge "$1" ]; } 2>/dev/null
request () { sed -n "$1p" api/requests | json "$2"; } # NUMBER MEMBER
body () { python3 -c 'import json; print(json.dumps({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "'"$1"'"}}}))'; }
cost () { sed -n "$1p" api/requests | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["body"]))'; }
SHOAL=$PWD/in_pod
start_service worker worker --jobs 1 --deletion-cost fleet/one --log-level debug
SHOAL=$program
worker=$last
start_service producer producer
start_service merger merger
wait_for "the first word" asked 1
expect_same "an idle pod is told" "$(body 0)" "$(cost 1)"
expect_same "of its own" /api/v1/namespaces/fleet/pods/one/status "$(request 1 path)"
expect_same "as a change of just that" "PATCH application/merge-patch+json" "$(request 1 method) $(request 1 type)"
expect_same "by its own token" "Bearer first-token" "$(request 1 token)"
echo second-token >token
"$SHOAL" submit --id long -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/long" x sh -c "until [ -e '$PWD/gate' ]; do sleep 0.1; done" >/dev/null
wait_for "the next word" asked 2
expect_same "a busy one as well" "$(body 1)" "$(cost 2)"
expect_same "by the token of now" "Bearer second-token" "$(request 2 token)"
touch gate
expect_exit 0 "a shard ends" timeout $E2E_SECONDS "$SHOAL" watch -q long
for i in 1 2 3; do
  "$SHOAL" submit --id "short$i" -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/short$i" x true >/dev/null
  expect_exit 0 "a short one" timeout $E2E_SECONDS "$SHOAL" watch -q "short$i"
done
wait_for "idleness" asked 3
expect_same "a pause is told when it lasts" "$(body 0)" "$(cost 3)"
expect_same "not within ten seconds of another word" "" "$(python3 -c 'import json
times = [json.loads(line)["time"] for line in open("api/requests")]
print("".join(f"{b - a:.1f} " for a, b in zip(times, times[1:]) if b - a < 10), end="")')"
kill "$worker"
expect_end 0 "it ends" "$worker"

# ---- a server that refuses, or is away
echo 403 >api/answer
SHOAL=$PWD/in_pod
start_service refused worker --jobs 1 --deletion-cost fleet/one
refused=$last
KUBERNETES_SERVICE_PORT=1 start_service away worker --jobs 1 --deletion-cost fleet/one --log-level debug
away=$last
SHOAL=$program
wait_for "a refusal" grep -q event=deletion_cost_untold refused.err
expect_true "is told with the server's reason" grep -q 'level=warn event=deletion_cost_untold reason="HTTP 403 (pods \\"one\\" is forbidden: said the server at [0-9.]*)"' refused.err
number=$(wc -l <api/requests)
wait_for "the next try" asked $((number + 1))
"$SHOAL" submit --id anyway -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/anyway" x true >/dev/null
expect_exit 0 "and hinders nothing" timeout $E2E_SECONDS "$SHOAL" watch -q anyway
expect_same "it is said once, whatever its text" 1 "$(grep -c event=deletion_cost_untold refused.err)"
fails_twice () { [ "$(grep -c event=deletion_cost_untold away.err)" -ge 2 ]; }
wait_for "two tries at a server that is away" fails_twice
expect_same "of which the first is a warning" 1 "$(grep -c 'level=warn event=deletion_cost_untold reason=".*[Cc]onnect' away.err)"
expect_same "the only one" 1 "$(grep -c level=warn away.err)"
for worker in "$refused" "$away"; do
  kill "$worker"
  expect_end 0 "neither hinders the worker's end" "$worker"
done

# ---- one that another authority vouches for
openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out ca.crt -subj /CN=other -days 2 2>/dev/null
SHOAL=$PWD/in_pod
start_service doubtful worker --jobs 1 --deletion-cost fleet/one
SHOAL=$program
doubtful=$last
wait_for "a certificate that isn't trusted" grep -q event=deletion_cost_untold doubtful.err
expect_true "is told with the authorities that are" grep -q "level=warn event=deletion_cost_untold reason=.*certificate.* (trusted authorities: those of $account/ca.crt)" doubtful.err
kill "$doubtful"
expect_end 0 "nor does that" "$doubtful"
