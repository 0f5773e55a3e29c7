#!/bin/bash
# Inputs in S3, on a real server: by prefix and glob, next to local and HTTP ones, over Kafka by two workers; what changes or is wrong.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
use_s3
: "${SHOAL_TEST_HTTP:?is not set: tests/run.sh sets it, deploy/storage/server.sh start nginx brings such a server up}"
: "${SHOAL_TEST_HTTP_ROOT:?is the folder that SHOAL_TEST_HTTP serves}"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
export HOME=$PWD
bucket=e2e-$$-$RANDOM
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; s3 remove "$bucket" || true'
s3 make "$bucket"

web=s3-$$-$RANDOM
at_end 'rm -rf "$SHOAL_TEST_HTTP_ROOT/$web"'
make_files "$SHOAL_TEST_HTTP_ROOT/$web/deep" 12 w
make_files photos/2019/a 30
make_files photos/2019/b/c 25 g
make_files photos/2018 20 h
head -c 50000000 /dev/urandom >photos/2019/large.txt
printf 'odd' >"photos/2019/a/ü & <x> +%41 'q'.txt"
s3 put photos "s3://$bucket/photos"
printf 'a model' | s3 write "s3://$bucket/models/large.bin"
printf 'next' | s3 write "s3://$bucket/photos-and-more.txt"
TREE='cd /in && find . -type f | while read -r f; do mkdir -p "/out/$(dirname "$f")" && cp "$f" "/out/$f"; done'
deep () { "$SHOAL" run "$@" busybox sh -c "$TREE"; }

# ---- the same as from a folder
expect_exit 0 "a plan of a folder" "$SHOAL" plan -v ./photos:/in --glob '**/*.txt' --batch-size 7 --json busybox true
cp "$E2E_WORK/out" plan-here
expect_exit 0 "… and of the bucket" "$SHOAL" plan -v "s3://$bucket/photos/:/in" --glob '**/*.txt' --batch-size 7 --json busybox true
atoms () { python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["shards"]))' <"$1" | sed 's/"bytes": [0-9]*//g; s/"digest": "[0-9a-f]*"//g'; }
expect_same "… have the same shards" "$(atoms plan-here)" "$(atoms "$E2E_WORK/out")"
deep -v ./photos:/in -o res:/out --glob '**/*.txt' --batch-size 7 --results here 2>/dev/null
expect_exit 0 "a bucket" deep --progress plain -v "s3://$bucket/photos/:/in" -o res:/out --glob '**/*.txt' --batch-size 7 --results there
expect_true "… gives the same" diff -r here/outputs there/outputs
expect_stderr 'in at .*/s'
expect_exit 0 "a prefix and a glob" deep -v "s3://$bucket/photos:/in" -o res:/out --glob '2019/b/**/g00*.txt' --batch-size 4 --results part
expect_same "… give what matches" 9 "$(find part/outputs/res -type f | wc -l)"
expect_exit 0 "one object" deep -v "s3://$bucket/photos/2018/h001.txt:/in" -o res:/out --glob '*' --results object
expect_true "… is what comes" diff -r <(cd object/outputs/res && find . -type f -exec cat {} +) photos/2018/h001.txt
expect_exit 0 "one object that isn't sliced" "$SHOAL" run -v ./photos/2018:/in --volume-shared "s3://$bucket/models/large.bin:/model" -o res:/out --glob 'h001*' --results model \
  busybox cat /model/large.bin
expect_same "… is in its place" "a model" "$(cat model/stdout)"
expect_exit 2 "an object with a slash behind it is a folder" "$SHOAL" plan -v "s3://$bucket/photos/2018/h001.txt/:/in" --glob '*' busybox true
expect_stderr 'nothing below .* matches .* \(0 paths scanned\)'
expect_exit 0 "folders as atoms" deep -v "s3://$bucket/photos:/in" -o res:/out --glob '*' --batch-size 1 --results folders
expect_true "… come whole" diff -r here/outputs folders/outputs
expect_exit 0 "a volume that isn't sliced" "$SHOAL" run -v ./photos/2018:/in --volume-shared "s3://$bucket/photos/2019:/model" -o res:/out --glob '*' --batch-size 10 --results shared \
  busybox sh -c 'find /model -type f | wc -l'
expect_same "… is there for each shard" "$(printf '57\n57')" "$(cat shared/stdout)"
expect_exit 0 "three storages in one glob space" deep -v "s3://$bucket/photos/2019/:/in/volume1" -v ./photos/2018:/in/volume2 -v "$SHOAL_TEST_HTTP/json/$web/:/in/volume3" \
  -o res:/out --glob 'volume*/**/*.txt' --batch-size 9 --results mixed
expect_true "… have all of each" diff -r photos/2019 mixed/outputs/res/volume1
expect_true "… and of the next" diff -r photos/2018 mixed/outputs/res/volume2
expect_true "… and of the last" diff -r "$SHOAL_TEST_HTTP_ROOT/$web" mixed/outputs/res/volume3

# ---- who we are
(
  eval "$(s3 role)"
  "$SHOAL" plan -v "s3://$bucket/photos/:/in" --glob '**/*.txt' busybox true >role.out 2>role.err
) && ok "credentials for a while" || fail "credentials for a while: $(cat role.err)"
mkdir .aws
printf '[other]\naws_access_key_id = test\naws_secret_access_key = testsecret\nendpoint_url = %s\n' "$SHOAL_TEST_S3" >.aws/credentials
expect_exit 0 "a profile" env -u AWS_ENDPOINT_URL -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY AWS_PROFILE=other "$SHOAL" plan -v "s3://$bucket/photos/:/in" --glob '**/*.txt' busybox true
plan () { "$SHOAL" plan -v "$1:/in" --glob '**/*.txt' busybox true; }
export -f plan
export SHOAL
expect_exit 2 "a wrong secret" env AWS_SECRET_ACCESS_KEY=hush-hush bash -c "plan s3://$bucket/photos"
expect_stderr "s3://$bucket/photos/: HTTP 403 \(SignatureDoesNotMatch\): the secret key is wrong"
expect_one_line
expect_exit 2 "no such bucket" plan s3://no-such-bucket-here
expect_stderr 'NoSuchBucket.*there is no such bucket'
expect_one_line
expect_exit 2 "nobody at all" env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY bash -c "plan s3://$bucket"
expect_stderr 'no AWS credentials: neither in the environment'
expect_exit 2 "an unknown scheme" plan gs://bucket
expect_stderr "no storage is known for 'gs:'"
expect_exit 2 "no server" env AWS_ENDPOINT_URL=http://me:hush-hush@127.0.0.1:9 bash -c "plan s3://$bucket"
expect_true "no secret is anywhere" bash -c "! grep -r hush-hush '$E2E_WORK/out' '$E2E_WORK/err'"

# ---- what changes between plan and run
printf 'before' | s3 write "s3://$bucket/change/a.txt"
printf 'stays' | s3 write "s3://$bucket/change/b.txt"

# ---- the same by a fleet: two workers that share no input
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/s3-$$-$RANDOM
expect_exit 0 "topics" "$SHOAL" topics create
for part in producer "worker --slots 1 --listen unix:first" "worker --slots 1 --listen unix:second" merger; do
  # shellcheck disable=SC2086
  SHOAL_LOG=info "$SHOAL" $part 2>"part.${#pids[@]}.err" &
  pids+=($!)
done
expect_exit 0 "by a fleet" "$SHOAL" run --bus "$SHOAL_BUS" --id s3 -v "s3://$bucket/photos/:/in" -o res:/out --glob '**/*.txt' --batch-size 7 --results fleet busybox sh -c "$TREE"
expect_true "… the same bytes" diff -r here/outputs fleet/outputs
counted () { # METRIC: of both workers together
  { curl -sf --unix-socket first http://worker/metrics; curl -sf --unix-socket second http://worker/metrics; } \
    | awk -v name="$1{scheme=\"s3\"}" '$1 == name { sum += $2 } END { printf "%d", sum }'
}
expect_same "each file was fetched once" "$(find photos -name '*.txt' | wc -l)" "$(counted shoal_storage_files_total)"
expect_same "… with its bytes, and no more" "$(find photos -name '*.txt' -printf '%s\n' | awk '{ sum += $1 } END { print sum }')" "$(counted shoal_storage_bytes_total)"
expect_true "… by at least as many requests" test "$(counted shoal_storage_requests_total)" -ge "$(counted shoal_storage_files_total)"
# an object that changes behind the plan: its shard fails and says so
"$SHOAL" submit --id change -v "s3://$bucket/change:/in" -o res:/out --glob '*.txt' --batch-size 1 --retries 0 --results fleet-change \
  busybox sh -c 'cat /in/*' >/dev/null
expect_exit 0 "unchanged it runs" "$SHOAL" watch -q change
for pid in "${pids[@]:1:2}"; do kill "$pid"; expect_end 0 "SIGTERM ends a worker" "$pid"; done
"$SHOAL" submit --id late -v "s3://$bucket/change:/in" -o res:/out --glob '*.txt' --batch-size 1 --retries 0 --results fleet-late busybox sh -c 'cat /in/*' >/dev/null
planned () { [ "$("$SHOAL" status --json late | json shards)" = 2 ]; }
wait_for "the plan" planned
printf 'behind!' | s3 write "s3://$bucket/change/a.txt"
"$SHOAL" worker --slots 1 2>worker.err &
pids+=($!)
expect_exit 1 "an object that changed behind the plan" "$SHOAL" watch late
expect_stderr 'shard 0: .*a.txt: has changed since it was listed'
expect_same "fails its shard only" stays "$(cat fleet-late.partial/shards/00001/stdout)"
