#!/bin/bash
# Credentials that jobs name: two tenants of one fleet on a real S3 server, of whom each sees his own bucket; services that have none of their own; names that
# aren't there, aren't names, or whose files others may read; what a cache keeps for whom. No secret is anywhere but in its file.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
use_s3
tag=$$-$RANDOM
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null
  for name in alice bob; do s3 remove "$name-$tag"; done; for name in alice bob lister; do s3 forget "$name-$tag"; done'
make_files in 4
secret () { head -c 24 /dev/urandom | base64 | tr +/ ab; }
alices=$(secret) bobs=$(secret) listers=$(secret)
for name in alice bob; do
  s3 make "$name-$tag"
  s3 put in "s3://$name-$tag/in"
done
s3 member "alice-$tag" "$alices" "alice-$tag"
s3 member "bob-$tag" "$bobs" "bob-$tag"
s3 member "lister-$tag" "$listers" "alice-$tag" s3:ListBucket
umask 077
mkdir -p creds/bob elsewhere
ini () { printf '[%s]\naws_access_key_id = %s\naws_secret_access_key=%s\n' "$@"; }
ini default "alice-$tag" "$alices" >creds/alice
{ ini other nobody nothing; ini lister "lister-$tag" "$listers"; } >creds/lister
echo "bob-$tag" >creds/bob/aws_access_key_id # as a Kubernetes secret is mounted: links into a folder that is exchanged
mkdir creds/bob/..data
echo "$bobs" >creds/bob/..data/aws_secret_access_key
ln -s ..data/aws_secret_access_key creds/bob/aws_secret_access_key

# ---- a fleet without credentials of its own
place=$SHOAL_TEST_KAFKA/cred-$tag
export SHOAL_BUS=kafka://$place
expect_exit 0 "topics" "$SHOAL" topics create --partitions 2
start () { # NAME OPTION…
  SHOAL_LOG=info env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY HOME="$PWD/none" SHOAL_STATE_DIR="$PWD/state-$1" \
    "$SHOAL" "${@:2}" --listen 127.0.0.1:0 >"$1.out" 2>"$1.err" &
  pids+=($!)
  wait_for "the $1" grep -q 'event=listening' "$1.err"
}
openssl rand -hex 16 >token
start producer producer --credentials-dir creds --token-file token
start worker worker --credentials-dir creds --cache-dir cache
start merger merger --credentials-dir creds
address () { sed -n 's/.*event=listening.*address=//p' "$1.err" | cut -d' ' -f1 | tr -d '"'; }
submit () { # ID BUCKET [OPTION…]
  "$SHOAL" submit --id "$1-$tag" --runtime process -v "s3://$2-$tag/in:/in" -o res:/out --glob '*.txt' --batch-size 2 \
    --results "s3://${RESULTS:-$2}-$tag/$1" --retries 0 "${@:3}" x sh -c 'cp in/* out/; env; cat /proc/self/environ'
}
status_of () { "$SHOAL" status --json "$1-$tag"; }
ends () { # ID CODE WHAT
  expect_exit "$2" "$3" "$SHOAL" watch -q "$1-$tag"
}

for who in alice bob; do
  expect_exit 0 "$who submits" submit "$who" "$who" --credentials $who
  ends "$who" 0 "and is served"
  expect_exit 0 "the result is there" "$SHOAL" get "s3://$who-$tag/$who" "got-$who"
  expect_true "all of it" diff -r in "got-$who/outputs/res"
done
expect_exit 0 "one without credentials" submit none alice
ends none 2 "fails: services have none to lend"
expect_exit 0 "its status" status_of none
expect_stdout 'no AWS credentials'
RESULTS=bob expect_exit 0 "bob reads alice's" submit reads alice --credentials bob
ends reads 2 "and gets nothing"
expect_exit 0 "its status" status_of reads
expect_stdout 'AccessDenied'
RESULTS=alice expect_exit 0 "bob writes to alice's" submit writes bob --credentials bob
ends writes 2 "and puts nothing there"
expect_exit 0 "its status" status_of writes
expect_stdout 'AccessDenied'
expect_same "nothing at all" "" "$(s3 list "s3://alice-$tag/writes")"

# ---- what was fetched for one is for nobody else: who may list what alice has fetched can't get it out of the cache
expect_exit 0 "one who may only list" submit lists alice --credentials lister --results "$PWD/lists"
ends lists 1 "fails"
expect_exit 0 "its status" "$SHOAL" status --shards "lists-$tag"
expect_stdout 'AccessDenied'
expect_exit 0 "alice once more" submit again alice --credentials alice
ends again 0 "is served"
curl -sS "http://$(address worker)/metrics" >metrics
expect_same "by the cache" 4 "$(sed -n 's/^shoal_storage_cache_hits_total{scheme="s3"} //p' metrics)"

# ---- a name that isn't there may be there later, or elsewhere
expect_exit 0 "a name that isn't there" submit carol alice --credentials carol
wait_for "the producer says which" grep -q 'credentials carol: .*/creds/carol: No such file' producer.err
ini default "alice-$tag" "$alices" >creds/carol
ends carol 0 "goes on when it is"
kill "${pids[1]}"
expect_end 0 "the worker ends" "${pids[1]}"
start other worker --credentials-dir elsewhere
expect_exit 0 "a worker that hasn't got them" submit late alice --credentials alice
failed_attempts () { curl -sS "http://$(address other)/metrics" | grep -q '^shoal_attempts_total{outcome="infra"} [1-9]'; }
wait_for "fails as a machine, not as the job" failed_attempts
start third worker --credentials-dir creds
ends late 0 "another worker has them"
chmod 644 creds/carol
expect_exit 0 "credentials for all to read" submit open alice --credentials carol
wait_for "aren't used" grep -q 'credentials carol: .*accessible by all users of this machine' producer.err
chmod 640 creds/carol
ends open 0 "until they may not"

# ---- names
while read -r name; do
  expect_exit 2 "\"$name\" is no name" submit bad alice --credentials "$name"
  expect_stderr '--credentials: expected the name of credentials'
  expect_true "and isn't shown" eval '! grep -qF -- "${name:-expected nothing}" "$E2E_WORK/err"'
done <<END
../creds/alice
alice/aws
Alice
-alice
.
..
$(printf 'a%.0s' {1..64})

END
expect_same "by HTTP: 422" 422 "$(curl -sS -o body -w '%{http_code}' -H "Authorization: Bearer $(<token)" "http://$(address producer)/v1/jobs" \
  --data '{"id": "x", "image": "x", "command": ["x"], "results": "/x", "credentials": "../alice"}')"
expect_same "which names the member" credentials "$(json field <body)"
"$E2E_PYTHON" "$E2E_LIB/upstream.py" submit "$place" '{"id": "avro", "image": "x", "runtime": "process", "command": ["true"],
  "results": "'"$PWD"'/x", "credentials": "../alice"}'
expect_exit 0 "by Avro: a status" "$E2E_PYTHON" "$E2E_LIB/upstream.py" follow "$place" avro
expect_stdout '"reason": "[^"]*credentials: expected the name of credentials'

# ---- on one machine
one=(env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u SHOAL_BUS HOME="$PWD/none" SHOAL_STATE_DIR="$PWD/state-one" "$SHOAL")
expect_exit 0 "shoal run" "${one[@]}" run -q --runtime process --credentials alice --credentials-dir creds -v "s3://alice-$tag/in:/in" \
  -o res:/out --glob '*.txt' --results "s3://alice-$tag/one" x sh -c 'cp in/* out/'
expect_exit 0 "again: nothing to do" "${one[@]}" run -q --runtime process --credentials alice --credentials-dir creds -v "s3://alice-$tag/in:/in" \
  -o res:/out --glob '*.txt' --results "s3://alice-$tag/one" x sh -c 'cp in/* out/'

# ---- secrets are in their files and nowhere else
for topic in jobs shards events status claims leases; do
  kcat -q -b "$SHOAL_TEST_KAFKA" -C -e -t "cred-$tag.$topic" >"bus.$topic"
done
expect_true "there is something on the bus" grep -q "s3://alice-$tag/in" bus.jobs
expect_true "there are containers' environments" grep -q '^SHOAL_SHARD_INDEX=' got-alice/stdout
hush () { grep -rlF -e "$alices" -e "$bobs" -e "$listers" "$@" | sort | paste -sd ' '; }
expect_same "in no log, no result, no cache, nothing on the bus" \
  "./creds/alice ./creds/bob/..data/aws_secret_access_key ./creds/carol ./creds/lister" "$(hush .)"
