#!/bin/bash
# What a policy refuses is refused at each door, with the member's name and the rule: hostile_jobs.json by HTTP and by the bus, and by a bus whose
# producer lets everything through to workers and mergers that don't.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
unset SHOAL_POLICY
root=$(pwd -P)
make_files in 3
mkdir in2 secret results
echo secret >secret/file
ln -s ../secret in/out
ln -s ../secret results/link
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
token=correct-horse-battery-staple
other=another-horse-battery-staple
echo $token >token
export SHOAL_LOG=info

cat >policy.json <<END
{
  "runtimes": ["oci"],
  "users": ["1-65534"],
  "images": ["busybox"],
  "inputs": ["$root/in", "https://data.example/photos", "s3://photos"],
  "results": ["$root/results", "s3://results"],
  "webhooks": ["https://hooks.example"],
  "queues": ["default"],
  "credentials": ["team"],
  "limits": {
    "memory": {"most": "1g"}, "cpus": "2", "timeout": {"default": "10m", "most": "1h"}, "retries": 3, "shards": 2,
    "max_output_bytes": "1g"
  },
  "tokens": [{"name": "other", "sha256": "$(printf %s $other | sha256sum | cut -d' ' -f1)", "queues": ["gpu"]}]
}
END

part () { # NAME BUS OPTION… : starts it; its log is NAME.err
  local name=$1 bus=$2
  "$SHOAL" "$name" --bus "sqlite:$root/$bus.db" "${@:3}" >"$bus-$name.out" 2>"$bus-$name.err" &
  pids+=($!)
}
ask () { # CODE WHAT CURL-ARGUMENT…
  local code=$1 what=$2 got
  shift 2
  got=$(curl -s -o "$E2E_WORK/out" -w '%{http_code}' "$@") || got="$got, curl $?"
  if [ "$got" = "$code" ]; then ok "$what: $code"; else fail "$what: $got instead of $code"; fi
}
# The jobs of the table as HTTP has them, one a line: WHAT, FIELD, SAYS, JSON; or as options: …, WORD… each by a tab.
jobs_of () { # DOOR
  python3 - "$E2E_LIB/hostile_jobs.json" "$root" "$1" <<'END'
import json, shlex, sys
path, root, door = sys.argv[1:]
def quote(word): # on one line
    plain = shlex.quote(word)
    return plain if "\n" not in word else "$'" + word.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
for number, case in enumerate(json.loads(open(path).read().replace("@ROOT@", root))):
    job = dict({"id": f"h{number}", "image": "busybox", "user": "1000", "results": f"{root}/results/r{number}"}, **case["job"])
    if door == "http":
        job["command"] = ["true"]
        print(case["what"], case["field"], case["says"], json.dumps(job), sep="\t")
    elif door == "bus" and case.get("door", "bus") == "bus":
        image = job.pop("image")
        words = [f"--{name.replace('_', '-')}={value}" for name, value in job.items()]
        print(case["what"], case["field"], case["says"], job["id"], " ".join(quote(word) for word in [*words, image, "true"]), sep="\t")
END
}

# ---- the file
expect_exit 0 "a policy is told" "$SHOAL" policy check policy.json
expect_stdout '^runtimes +oci$'
expect_stdout '^users +1 to 65534$'
expect_stdout "^inputs +$root/in, https://data.example/photos, s3://photos$"
expect_stdout '^limits.timeout +at most 1h00m, default 10m00s$'
expect_stdout '^token other +gpu$'
echo '{"runtimes": ["oci"],
"colour": "red"}' >bad.json
expect_exit 2 "a member that isn't known" "$SHOAL" policy check bad.json
expect_stderr '^shoal: bad.json: line 2: colour: unknown member$'
expect_exit 2 "a service doesn't start with it" "$SHOAL" worker --bus sqlite:x.db --policy bad.json
expect_stderr '^shoal: --policy: bad.json: line 2: colour: unknown member$'
expect_exit 2 "… nor by the environment" env SHOAL_POLICY=bad.json "$SHOAL" merger --bus sqlite:x.db
expect_stderr '^shoal: SHOAL_POLICY: bad.json: line 2'
expect_exit 2 "a root that isn't there" "$SHOAL" worker --bus sqlite:x.db --volume-root nosuch
expect_stderr '^shoal: --volume-root: nosuch: No such file'
echo '{"image": "busybox", "user": "1000", "volume": "'"$root"'/in:/in", "results": "'"$root"'/results/r"}' >job.json
expect_exit 0 "a job that passes" "$SHOAL" policy check policy.json job.json
expect_stdout '^the job is allowed$'
echo '{"image": "busybox", "volume": "/etc:/in"}' >job.json
expect_exit 1 "a job that doesn't" "$SHOAL" policy check policy.json job.json
expect_stdout "^the job is refused: volumes: policy: inputs: /etc isn't allowed$"

# ---- HTTP
part producer strict --policy policy.json --listen 127.0.0.1:0 --token-file token --results results
part merger strict --policy policy.json
part worker strict --policy policy.json --backoff 10ms --jobs 1
wait_for "the producer listens" grep -qs event=listening strict-producer.err
http=http://$(sed -n 's/.*event=listening address=//p' strict-producer.err)
post () { # CODE WHAT JSON [TOKEN]
  ask "$1" "$2" -H "Authorization: Bearer ${4:-$token}" --data-binary "$3" "$http/v1/jobs"
}
while IFS=$'\t' read -r what field says job; do
  post 422 "HTTP: $what" "$job"
  expect_same "… blames" "$field" "$(json field <"$E2E_WORK/out")"
  if grep -qF -- "$says" <(json error <"$E2E_WORK/out"); then ok "… says $says"; else fail "$what doesn't say: $says"; fi
done < <(jobs_of http)
post 201 "a job that may be" '{"id": "good", "image": "busybox", "user": "1000", "volume": "'"$root"'/in:/in", "output": "o:/out",
  "command": ["sh", "-c", "id -u >/out/id"]}'
wait_for "it has ended" eval '"$SHOAL" status --bus "sqlite:$root/strict.db" good --json | grep -q "\"state\": *\"succeeded\""'
expect_same "as the user that it asked for" 1000 "$(cat results/good/outputs/o/id)"
post 422 "another token's queue" '{"image": "busybox", "user": "1000"}' $other
expect_stdout "policy: tokens.other.queues: default isn't allowed"
ask 404 "and it doesn't see the others' jobs" -H "Authorization: Bearer $other" "$http/v1/jobs/good"
ask 404 "nor cancels them" -X DELETE -H "Authorization: Bearer $other" "$http/v1/jobs/good"
ask 200 "nor lists them" -H "Authorization: Bearer $other" "$http/v1/jobs"
expect_true "… no job is in the list" eval '! grep -q good "$E2E_WORK/out"'
ask 401 "a token that nobody has" -H "Authorization: Bearer wrong-horse-battery-staple" "$http/v1/jobs"

# ---- the bus: what submit, a client as any other, puts there
while IFS=$'\t' read -r what field says id words; do
  eval "words=($words)"
  if "$SHOAL" submit --bus "sqlite:$root/strict.db" "${words[@]}" >"$E2E_WORK/out" 2>"$E2E_WORK/err"; then
    wait_for "$what: the job ends" eval '"$SHOAL" status --bus "sqlite:$root/strict.db" $id --json >"$E2E_WORK/out" 2>&1; grep -q "\"state\": *\"failed\"" "$E2E_WORK/out"' || true
    if grep -qF -- "$says" <(json reason <"$E2E_WORK/out"); then ok "bus: $what: says $says"; else fail "bus: $what doesn't say: $says"; fi
  elif grep -qF -- "$says" "$E2E_WORK/err"; then
    ok "command line: $what: says $says"
  else
    fail "command line: $what doesn't say: $says"
  fi
done < <(jobs_of bus)
kill "${pids[@]}"
wait "${pids[@]}" || true
pids=()

# ---- a producer that lets everything through: the worker asks again, once for each shard
part producer worker --policy none
part merger worker --policy none
part worker worker --policy policy.json --backoff 10ms --jobs 1
refused () { # WHAT REASON ID OPTION…
  local what=$1 reason=$2 id=$3
  shift 3
  "$SHOAL" submit --bus "sqlite:$root/worker.db" --id "$id" --retries 3 --results "$root/results/$id" "$@" >/dev/null
  wait_for "$what: the job ends" eval '"$SHOAL" status --bus "sqlite:$root/worker.db" $id --json >"$E2E_WORK/out" 2>&1; grep -q "\"state\": *\"failed\"" "$E2E_WORK/out"' || true
  if grep -qF -- "$reason" "$E2E_WORK/out"; then ok "worker: $what: $reason"; else fail "worker: $what doesn't say: $reason"; fi
  expect_true "… the manifest has the reason" grep -qF -- "$reason" "results/$id.partial/manifest.json"
  expect_true "… and report.html" grep -qF -- "$(sed "s/'/\\&#39;/g" <<<"$reason")" "results/$id.partial/report.html"
  expect_same "… tried once, and it isn't the machine" "1 failed" \
    "$(grep -c "event=shard_done job=$id .*attempt=1 .*outcome=failed .*final=true" worker-worker.err) $(grep -o "event=shard_done job=$id .*" worker-worker.err | sed 's/.*outcome=\([a-z]*\).*/\1/' | sort -u | tr '\n' ' ' | sed 's/ $//')"
}
refused "no container" "policy: runtimes: process isn't allowed" w1 --runtime process busybox sh -c "echo yes >$root/secret/made"
refused "a folder of the host" "policy: inputs: /etc isn't allowed" w2 -u 1000 -v /etc:/in busybox cat /in/passwd
refused "a link out of an input" "policy: inputs: $root/secret isn't allowed" w3 -u 1000 -v "$root/in/out:/in" busybox cat /in/file
refused "the image's own user, root" "policy: users: user id 0 isn't allowed" w4 busybox true
refused "root by its name" "policy: users: user id 0 isn't allowed" w5 -u root busybox true
refused "all memory" "policy: limits.memory: 64.0 GiB is more than 1.0 GiB" w6 -u 1000 --memory 64g busybox true
expect_true "nothing was made" test ! -e secret/made
"$SHOAL" submit --bus "sqlite:$root/worker.db" --id w7 -u 1000 --results "$root/secret/r" busybox true >/dev/null
wait_for "a result elsewhere: the job ends" eval '"$SHOAL" status --bus "sqlite:$root/worker.db" w7 --json >"$E2E_WORK/out" 2>&1; grep -q "\"state\": *\"failed\"" "$E2E_WORK/out"'
expect_stdout "policy: results: $root/secret/r isn't allowed"
kill "${pids[@]}"
wait "${pids[@]}" || true
pids=()

# ---- the merger makes no result where none may be, whoever planned and ran it
part producer merger --policy none
part worker merger --policy none
part merger merger --policy policy.json
"$SHOAL" submit --bus "sqlite:$root/merger.db" --id m1 --results "$root/secret/m" busybox true >/dev/null
wait_for "the job ends" eval '"$SHOAL" status --bus "sqlite:$root/merger.db" m1 --json >"$E2E_WORK/out" 2>&1; grep -q "\"state\": *\"failed\"" "$E2E_WORK/out"'
expect_stdout "results: policy: results: $root/secret/m isn't allowed"
expect_true "no result was made" test ! -e secret/m
expect_true "the merger's log says so" grep -q 'event=job_refused job=m1 reason="results: policy' merger-merger.err
kill "${pids[@]}"
wait "${pids[@]}" || true
pids=()

# ---- without a file
part producer plain
part merger plain
part worker plain --jobs 1
"$SHOAL" submit --bus "sqlite:$root/plain.db" --id p1 -v "$root/in:/in" --results "$root/results/p1" busybox true >/dev/null
wait_for "the job ends" eval '"$SHOAL" status --bus "sqlite:$root/plain.db" p1 --json >"$E2E_WORK/out" 2>&1; grep -q "\"state\": *\"failed\"" "$E2E_WORK/out"'
expect_stdout "policy: results: $root/results/p1 isn't allowed: the service was started without --policy, and with no --results-root above it"
kill "${pids[@]}"
wait "${pids[@]}" || true
pids=()
for name in producer merger worker; do part $name plain --volume-root in --results-root results; done
"$SHOAL" submit --bus "sqlite:$root/plain.db" --id p2 -v "$root/in2:/in" --results "$root/results/p2" busybox true >/dev/null
"$SHOAL" submit --bus "sqlite:$root/plain.db" --id p3 -v "$root/in:/in" --results "$root/results/p3" busybox true >/dev/null
wait_for "a folder beside the root: the job ends" eval '"$SHOAL" status --bus "sqlite:$root/plain.db" p2 --json >"$E2E_WORK/out" 2>&1; grep -q "\"state\": *\"failed\"" "$E2E_WORK/out"'
expect_stdout "policy: inputs: $root/in2 isn't allowed: the service was started without --policy, and with no --volume-root above it"
wait_for "below the roots it runs" test -e results/p3/manifest.json
kill "${pids[@]}"
wait "${pids[@]}" || true
pids=()

# ---- run is its own user's, whatever the environment says of services
expect_exit 0 "run goes by no policy" env SHOAL_POLICY="$root/policy.json" "$SHOAL" run -q --runtime process -v "$root/in2:/in" --results own busybox true
