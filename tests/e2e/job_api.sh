#!/bin/bash
# Jobs by HTTP, and what a service says of itself: /metrics, /healthz, /readyz.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 6
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
token=correct-horse-battery-staple
echo $token >token
bus=sqlite:$PWD/bus.db

part () { # NAME OPTION… : starts it; $address is where it listens, by its own log
  local name=$1
  rm -f "$name.err"
  SHOAL_LOG=info "$SHOAL" "$@" --listen 127.0.0.1:0 >"$name.out" 2>"$name.err" &
  pids+=($!)
  wait_for "$name listens" grep -qs event=listening "$name.err"
  address=$(sed -n 's/.*event=listening address=//p' "$name.err")
}
# ask CODE WHAT CURL-ARGUMENT…: the answer's body in out, its headers in headers.
ask () {
  local code=$1 what=$2 got
  shift 2
  : >"$E2E_WORK/err"
  got=$(curl -s -o "$E2E_WORK/out" -D headers -w '%{http_code}' "$@") || got="$got, curl $?"
  if [ "$got" = "$code" ]; then ok "$what: $code"; else fail "$what: $got instead of $code"; fi
}
submit () { # CODE WHAT JSON
  ask "$1" "$2" -H "Authorization: Bearer $token" --data-binary "$3" "$http/v1/jobs"
}
get () { # CODE WHAT PATH
  ask "$1" "$2" -H "Authorization: Bearer $token" "$http$3"
}
metric () { # ADDRESS SERIES
  curl -s "http://$1/metrics" | /usr/bin/python3 -c '
import sys
from prometheus_client.parser import text_string_to_metric_families as families
wanted = sys.argv[1]
for family in families(sys.stdin.read()):
    for s in family.samples:
        labels = ",".join(f"{k}=\"{v}\"" for k, v in sorted(s.labels.items()))
        if (s.name + ("{" + labels + "}" if labels else "")) == wanted:
            print(int(s.value))' "$2"
}

# ---- who may
part producer --bus "$bus"
ask 403 "without a token nobody may" -H "Authorization: Bearer $token" "http://$address/v1/jobs"
expect_stdout 'token-file'
echo short >bad-token
expect_exit 2 "a token that is too short" "$SHOAL" producer --bus "$bus" --listen 127.0.0.1:0 --token-file bad-token
expect_stderr 'bad-token: a token is one word'
expect_exit 2 "an address that is taken" "$SHOAL" merger --bus "$bus" --listen "$address"
expect_stderr "--listen $address: .*[Aa]ddress already in use"
kill "${pids[0]}"
expect_end 0 "SIGTERM ends the producer" "${pids[0]}"

mkdir below
part producer --bus "$bus" --token-file token --results "$PWD/below"
http=http://$address
producer=$address
ask 401 "without the token" "$http/v1/jobs"
ask 401 "with another token" -H 'Authorization: Bearer wrong-horse-battery-staple' "$http/v1/jobs"
expect_true "says how" grep -qi '^www-authenticate: Bearer' headers
expect_true "no token in a log" bash -c "! grep -q '$token\|wrong-horse' producer.err"

# ---- a job
job='{"id": "one", "image": "busybox", "runtime": "process", "volume": "'$PWD'/in:/in", "output": "res:/out",
      "glob": "*.txt", "batch-size": 2, "command": ["sh", "-c", "cat in/* >out/$SHOAL_SHARD_INDEX; echo $TRACEPARENT"]}'
get 404 "no such job" /v1/jobs/one
ask 201 "a job is taken" -H "Authorization: Bearer $token" --data-binary "$job" \
  -H 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' "$http/v1/jobs"
expect_stdout '"job":"one"'
submit 200 "the same again is the same job" "$job"
submit 409 "another job by that id" "${job/2,/3,}"
expect_stdout 'differs in --batch-size'
expect_stdout '"field": "id"'
part merger --bus "$bus"
merger=$address
wait_for "three shards are queued" eval '[ "$(metric "$merger" "shoal_shards{queue=\"default\",state=\"queued\"}")" = 3 ]'
part worker --bus "$bus" --backoff 10ms
worker=$address
wait_for "it ends" eval 'curl -s -H "Authorization: Bearer $token" "$http/v1/jobs/one" | grep -q "\"state\":\"succeeded"'
get 200 "and is listed" /v1/jobs
expect_stdout '"job":"one","state":"succeeded".*"succeeded":3'
expect_same "the result stands" "1 2" "$(paste -sd ' ' below/one/outputs/res/0)"
expect_true "the trace went along" grep -q '^00-0af7651916cd43dd8448eb211c80319c-' below/one/stdout
expect_same "nothing is left to do" 0 "$(metric "$merger" 'shoal_shards{queue="default",state="queued"}')"
expect_same "three attempts were counted" 3 "$(metric "$worker" 'shoal_attempts_total{outcome="succeeded"}')"
expect_same "and observed" 3 "$(metric "$worker" shoal_attempt_seconds_count)"
expect_same "requests are counted" 1 "$(metric "$producer" 'shoal_http_requests_total{code="201",path="/v1/jobs"}')"

# ---- cancelling
submit 201 "a job that takes long" '{"id": "long", "image": "x", "runtime": "process", "command": ["sleep", "600"]}'
wait_for "it runs" eval '[ "$(metric "$worker" "shoal_slots{state=\"busy\"}")" = 1 ]'
patch () { # CODE WHAT ID JSON
  ask "$1" "$2" -X PATCH -H "Authorization: Bearer $token" --data-binary "$4" "$http/v1/jobs/$3"
}
get 200 "how it goes on" /v1/jobs/long
expect_stdout '"priority": ?0, ?"paused": ?false'
patch 200 "it is paused" long '{"paused": true}'
expect_stdout '"paused": ?true'
get 200 "which stays" /v1/jobs/long
expect_stdout '"paused": ?true'
patch 200 "and goes on" long '{"paused": false}'
expect_stdout '"paused": ?false'
patch 409 "what is published keeps its place" long '{"priority": 5}'
expect_stdout 'all of its shards are published already'
patch 422 "a priority has bounds" long '{"priority": 11}'
expect_stdout '"field": "priority"'
patch 422 "so has a limit" long '{"max_parallel": 0}'
expect_stdout '"field": "max_parallel"'
patch 422 "a pause is true or false" long '{"paused": "yes"}'
expect_stdout '"field": "paused"'
patch 422 "nothing else can be set" long '{"image": "y"}'
expect_stdout 'unknown field: valid are priority, max_parallel and paused'
patch 400 "an object is wanted" long '[]'
patch 400 "with something in it" long '{}'
patch 404 "of a job that there is" none '{"paused": true}'
ask 401 "by who may" -X PATCH --data-binary '{"paused": true}' "$http/v1/jobs/long"
ask 202 "it is told to end" -X DELETE -H "Authorization: Bearer $token" "$http/v1/jobs/long"
wait_for "it has ended" eval 'curl -s -H "Authorization: Bearer $token" "$http/v1/jobs/long" | grep -q cancelled'
patch 409 "and nothing can be set any more" long '{"paused": true}'
ask 409 "twice is too late" -X DELETE -H "Authorization: Bearer $token" "$http/v1/jobs/long"

# ---- what bad input gets
submit 400 "no JSON" '{"image": '
expect_stdout 'line 1'
submit 422 "a number out of range" '{"image": "x", "glob": "*", "batch-size": 0}'
expect_stdout '"field": "batch-size"'
submit 422 "a field that isn't one" '{"image": "x", "colour": "red"}'
expect_stdout '"field": "colour"'
submit 422 "fields that contradict each other" '{"image": "x", "batch-size": 5}'
expect_stdout 'has no effect without --glob'
expect_stdout '"field": "batch-size"'
submit 422 "an output that is the root" '{"image": "x", "output": "a:/"}'
expect_stdout '"field": "output"'
submit 422 "a pattern that can't be read" '{"image": "x", "glob": "[", "volume": "'$PWD'/in:/in"}'
expect_stdout '"field": "glob"'
submit 201 "a job without an id" '{"image": "x", "runtime": "process", "command": ["true"]}'
wait_for "its result to stand below --results" test -d "below/$(json job <"$E2E_WORK/out")"
submit 422 "a result in no folder" '{"image": "x", "results": "/no/such/folder/r"}'
expect_stdout '"field": "results"'
submit 422 "our files aren't read" '{"image": "x", "env-file": "/etc/passwd"}'
submit 422 "our environment isn't either" '{"image": "x", "env": ["HOME"]}'
head -c 2000000 /dev/zero | tr '\0' ' ' >large
submit 413 "too large" @large
ask 405 "a method that isn't one" -X PUT -H "Authorization: Bearer $token" "$http/v1/jobs"
expect_true "says which is" grep -qiE '^allow: (GET|POST)' headers
get 404 "a path that isn't one" /v2
for garbage in 'GET' $'\x16\x03\x01\x02' 'POST /v1/jobs HTTP/1.1\r\nContent-Length: -5\r\n\r\n' 'GET /\0 HTTP/1.1\r\n\r\n'; do
  printf "$garbage" | timeout 1 bash -c "exec 3<>/dev/tcp/${producer/://}; cat >&3; cat <&3" >/dev/null 2>&1 || true
done
ask 200 "it lives on" "$http/healthz"

# ---- many jobs, in pages
ids () { json_list () { /usr/bin/python3 -c 'import json, sys; a = json.load(sys.stdin); print(" ".join(j["job"] for j in a["jobs"]), a.get("next", "-"))'; }; json_list <"$E2E_WORK/out"; }
kill "${pids[@]}" 2>/dev/null || true
pids=()
bus=sqlite:$PWD/pages.db
part producer --bus "$bus" --token-file token --results "$PWD/below"
http=http://$address
producer=$address
for i in 1 2 3 4 5 6 7; do
  submit 201 "job $i" '{"id": "p'$i'", "image": "x", "runtime": "process", "command": ["true"]}'
done
ask 202 "one is cancelled" -X DELETE -H "Authorization: Bearer $token" "$http/v1/jobs/p3"
get 200 "a page" '/v1/jobs?limit=3'
expect_same "has the oldest, and says where it goes on" "p1 p2 p3 p3" "$(ids)"
get 200 "the next page" '/v1/jobs?limit=3&after=p3'
expect_same "goes on" "p4 p5 p6 p6" "$(ids)"
get 200 "the last page" '/v1/jobs?limit=3&after=p6'
expect_same "says that it is" "p7 -" "$(ids)"
get 200 "a page that fits" '/v1/jobs?limit=7'
expect_same "has no next one" "p1 p2 p3 p4 p5 p6 p7 -" "$(ids)"
get 200 "none is left" '/v1/jobs?after=p7'
expect_same "behind the last" " -" "$(ids)"
part merger --bus "$bus"
cancelled () { curl -s -H "Authorization: Bearer $token" "$http/v1/jobs/p3" | grep -q '"cancelled"'; }
wait_for "it has ended" cancelled
get 200 "by state" '/v1/jobs?state=cancelled,failed'
expect_same "are those in it" "p3 -" "$(ids)"
get 422 "no such state" '/v1/jobs?state=lost'
expect_stdout '"field": "state"'
get 422 "no such number" '/v1/jobs?limit=1001'
expect_stdout '"field": "limit"'
get 422 "behind a job that isn't there" '/v1/jobs?after=p9'
expect_stdout '"field": "after"'
listed () { "$SHOAL" list --bus "$bus" "$@" | tail -n +2 | cut -f1 | paste -sd ' '; }
expect_same "shoal list has all" "p1 p2 p3 p4 p5 p6 p7" "$(listed)"
expect_same "or the newest" "p6 p7" "$(listed --limit 2)"
expect_same "or those in a state" "p3" "$(listed --state cancelled)"
expect_same "or both" "p7" "$(listed --state queued,running --limit 1)"
expect_exit 2 "no such state" "$SHOAL" list --bus "$bus" --state lost
expect_stderr '"lost" is none of queued, running'

# ---- slow peers without a token, and requests that can be read in two ways
/usr/bin/python3 - "$producer" >held 2>&1 <<'END' &
import socket, sys, time
host, port = sys.argv[1].split(":")
peers = [socket.create_connection((host, int(port))) for _ in range(150)]
for peer in peers:
    peer.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
print("there", flush=True)
while True:
    time.sleep(1)
END
pids+=($!)
wait_for "150 slow connections" grep -qs there held
ask 200 "don't shut probes" -m 5 "$http/readyz"
ask 200 "nor metrics" -m 5 "$http/metrics"
submit 422 "nor the API" '{"image": "x", "colour": "red"}'
get 400 "a NUL in a path" /v1/jobs/one%00x
ask 400 "two lengths" -X POST -H "Authorization: Bearer $token" -H 'Content-Length: 2' -H 'Content-Length: 3' "$http/v1/jobs"
ask 400 "a length beside chunks" -H "Authorization: Bearer $token" -H 'Content-Length: 2' -H 'Transfer-Encoding: chunked' --data '{}' "$http/v1/jobs"
