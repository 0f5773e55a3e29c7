#!/bin/bash
# What a worker counts of its inputs, by scheme: files, bytes, requests, what had to be asked for again, what the cache had.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_s3
: "${SHOAL_TEST_HTTP:?is not set: tests/run.sh sets it, deploy/storage/server.sh start nginx brings such a server up}"
: "${SHOAL_TEST_HTTP_ROOT:?is the folder that SHOAL_TEST_HTTP serves}"
: "${SHOAL_TEST_IPFS_API:?is not set: tests/run.sh sets it, deploy/storage/server.sh start ipfs brings such a server up}"
export HOME=$PWD SHOAL_IPFS_API=$SHOAL_TEST_IPFS_API SHOAL_BUS=sqlite:$PWD/bus.db
bucket=counts-$$-$RANDOM
web=$bucket
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; s3 remove "$bucket" || true; rm -rf "$SHOAL_TEST_HTTP_ROOT/$web"'
s3 make "$bucket"
make_files in/s3 5
head -c 40000000 /dev/urandom >in/s3/large.txt # two parts
make_files in/http 4 g
make_files in/ipfs 3 h
make_files in/local 2 k
s3 put in/s3 "s3://$bucket/in"
cp -r in/http "$SHOAL_TEST_HTTP_ROOT/$web"
chmod -R a+rX "$SHOAL_TEST_HTTP_ROOT/$web"
cid=$(python3 "$E2E_LIB/ipfs_add.py" "$SHOAL_TEST_IPFS_API" in/ipfs cid-version=1)

peer s3_front.py "$SHOAL_TEST_S3" busy
behind=(env "AWS_ENDPOINT_URL=http://127.0.0.1:$port" "$SHOAL")
for part in producer merger "worker --slots 2 --cache-dir cache --listen unix:worker"; do
  # shellcheck disable=SC2086
  "${behind[@]}" $part >/dev/null 2>"part.${#pids[@]}.err" &
  pids+=($!)
done
job () { # ID
  "${behind[@]}" submit --id "$1" --results "$1" --runtime process -v "s3://$bucket/in:/in/s3" -v "$SHOAL_TEST_HTTP/json/$web/:/in/http" -v "ipfs://$cid:/in/ipfs" \
    -v ./in/local:/in/local -o res:/out --glob '*/*.txt' --batch-size 4 none true && "$SHOAL" watch -q "$1"
}
counts () { # SCHEME: files, bytes, requests, retries, cache hits
  curl -sf --unix-socket worker http://worker/metrics >metrics
  local name all=()
  for name in files bytes requests retries cache_hits; do
    all+=("$(sed -n "s/^shoal_storage_${name}_total{scheme=\"$1\"} //p" metrics)")
  done
  echo "${all[*]}"
}
bytes_of () { cat "in/$1"/* | wc -c; }

expect_exit 0 "a job from four places" job first
expect_same "S3: a file a request, two for the large one, each of them twice, and one about its parts" "6 $(bytes_of s3) 15 7 0" "$(counts s3)"
expect_same "HTTP: a file a request" "4 $(bytes_of http) 4 0 0" "$(counts http)"
expect_same "IPFS: likewise" "3 $(bytes_of ipfs) 3 0 0" "$(counts ipfs)"
expect_same "a folder of this machine takes nothing from servers" "" "$(counts file | tr -d ' ')"
expect_exit 0 "the same again" job second
expect_same "S3: all were in the cache" "6 $(bytes_of s3) 15 7 6" "$(counts s3)"
expect_same "HTTP: likewise" "4 $(bytes_of http) 4 0 4" "$(counts http)"
expect_same "IPFS: likewise" "3 $(bytes_of ipfs) 3 0 3" "$(counts ipfs)"
printf 'other' | s3 write "s3://$bucket/in/f001.txt"
expect_exit 0 "after an object changed" job third
expect_same "S3: it is fetched, by a part that was refused before" "7 $(($(bytes_of s3) + 5)) 16 7 11" "$(counts s3)"

# ---- while a large object comes
kill "${pids[2]}"
expect_end 0 "SIGTERM ends the worker" "${pids[2]}"
peer s3_front.py "$SHOAL_TEST_S3" drips "$PWD/go"
behind=(env "AWS_ENDPOINT_URL=http://127.0.0.1:$port" "$SHOAL")
rm -f worker
"${behind[@]}" worker --slots 2 --listen unix:worker >/dev/null 2>second.err &
pids[2]=$!
"${behind[@]}" submit --id large --results large --runtime process -v "s3://$bucket/in:/in" -o res:/out --glob large.txt none true >/dev/null
some_bytes () { local all; read -ra all <<<"$(counts s3)"; [ "${all[1]:-0}" -gt 0 ]; }
wait_for "bytes of an object that isn't here yet" some_bytes
expect_same "… which isn't counted as a file" 0 "$(counts s3 | cut -d' ' -f1)"
"${behind[@]}" run --progress plain --results bytes --runtime process -v "s3://$bucket/in:/in" -o res:/out --glob large.txt none true 2>bytes.err &
run=$!
wait_for "the progress of run" grep -q '^0/1 shard,.*1 running.*iB in at .*iB/s' bytes.err
: >go
expect_end 0 "the run ends" $run
expect_exit 0 "… and the worker's job" "$SHOAL" watch -q large
expect_same "all is counted, once" "1 40000000 3 0 " "$(counts s3 | sed 's/[^ ]*$//')"
for pid in "${pids[@]}"; do kill "$pid"; expect_end 0 "SIGTERM ends it" "$pid"; done
