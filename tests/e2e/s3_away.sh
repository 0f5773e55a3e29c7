#!/bin/bash
# Staging from S3 when something isn't as it should: the server killed and started again, away for good, a disk that is full, inputs that vanish, a cache.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
: "${SHOAL_TEST_S3:?is not set: tests/run.sh sets it, deploy/storage/server.sh start minio brings such a server up}"
server () { bash "$E2E_LIB/../../deploy/storage/server.sh" "$1" minio "$PWD/minio"; } # one of our own: it is killed
at_end 'server stop'
eval "$(server start)"
export AWS_EC2_METADATA_DISABLED=true
s3 () { "$E2E_PYTHON" "$E2E_LIB/s3.py" "$@"; }
s3 make photos

mkdir -p in/a in/b
for i in {1..48}; do head -c 3000000 /dev/urandom >"in/$([ $((i % 2)) = 0 ] && echo a || echo b)/f$(printf %02d "$i").bin"; done
s3 put in s3://photos/in
scratch=$PWD/scratch
mkdir "$scratch"
job=(-v s3://photos/in:/in -o res:/out --glob '**/*.bin' --batch-size 4 --scratch "$scratch")
COPY_TREE='cd /in && find . -type f | while read -r f; do mkdir -p "/out/$(dirname "$f")" && cp "$f" "/out/$f"; done'
left_of () { find "$1" -mindepth 1 | head -3; }

# ---- killed while inputs come, twice; slow enough for shards to be left both times
"$SHOAL" run "${job[@]}" -j 2 --prefetch-bytes 0 --results killed busybox sh -c "sleep 1; $COPY_TREE" 2>killed.err &
run=$!
has_done () { [ "$("$SHOAL" status --json killed | json succeeded)" -ge "$1" ]; }
wait_for "the first shard" has_done 1
server stop
expect_true "with the server gone shards are left" kill -0 $run
server start >/dev/null
wait_for "some more shards" has_done 5
server stop
server start >/dev/null
expect_end 0 "a server that was killed twice holds a run up" $run
expect_true "… and its result has the same bytes" diff -r in killed/outputs/res
expect_same "… nothing is left of the staging" "" "$(left_of "$scratch")"

# ---- away for good
server stop
expect_exit 3 "nothing can be planned" "$SHOAL" plan "${job[@]}" busybox true
expect_stderr "s3://photos/in/: .*(onnect|refused)"
server start >/dev/null

# ---- what vanished behind the plan fails its shard, and only that one
printf 'stays' | s3 write s3://photos/late/a.txt
printf 'goes' | s3 write s3://photos/late/b.txt
mkdir world
"$SHOAL" run -v s3://photos/late:/in --volume-shared ./world:/world -o res:/out --glob '*.txt' --batch-size 1 -j 1 --prefetch-bytes 0 --retries 3 --results late --progress none \
  busybox sh -c 'until [ -e /world/go ]; do sleep 0.1; done; cp /in/* /out' 2>late.err &
run=$!
planned () { [ "$("$SHOAL" status --json late | json shards)" = 2 ] && [ "$("$SHOAL" status --json late | json running)" = 1 ]; }
wait_for "the first shard runs" planned
s3 delete s3://photos/late/b.txt
: >world/go
expect_end 1 "an object that is gone" $run
cp late.err "$E2E_WORK/err"
expect_stderr "shard 1: .*b.txt: no longer exists"
expect_same "the other shard is done" stays "$(cat late.partial/shards/00000/outputs/res/a.txt)"
expect_same "nobody tried in vain" 1 "$("$SHOAL" status --json --shards late | grep -c '"attempts": *1.*failed\|failed.*"attempts": *1')"

# ---- a disk that is full
full () {
  unshare --mount bash -c 'mount -t tmpfs -o size=6m tmpfs "$1" && exec "${@:2}"' - "$scratch" \
    "$SHOAL" run "${job[@]}" -j 1 --backoff 10ms --results full --max-failures 0 busybox true
}
expect_exit 3 "a disk that is full while inputs come" full
expect_stderr "shard 0: stage in: .*\.bin: writing to $scratch/.*: No space left on device"

# ---- a cache of what came before
cached=("${job[@]}" --cache-dir cache --cache-size 1g)
expect_exit 0 "with a cache" "$SHOAL" run "${cached[@]}" --results first busybox sh -c "$COPY_TREE"
server stop
server start >/dev/null
expect_exit 0 "the second time" env SHOAL_LOG=debug "$SHOAL" run "${cached[@]}" --results second busybox sh -c "$COPY_TREE"
expect_true "the same bytes" diff -r first/outputs second/outputs
expect_same "every object is kept once" 48 "$(find cache -type f -size +2M | wc -l)"
printf 'other' | s3 write s3://photos/in/a/f02.bin
expect_exit 0 "after an object changed" "$SHOAL" run "${cached[@]}" --results third busybox sh -c "$COPY_TREE"
expect_same "it is what came" other "$(cat third/outputs/res/a/f02.bin)"
