#!/bin/bash
# The example that shoal was made for: 10,000 JPEGs, batch size 1,000, ten containers of ImageMagick, one result.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images imagemagick
count=10000

make_pictures () {
  /usr/bin/python3 - "$1" "$count" <<'PYTHON'
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from PIL import Image

folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir(parents=True)

def make(numbers):
    for number in numbers:
        image = Image.new("RGB", (64, 48), (number % 256, number // 256 * 6 % 256, number * 7 % 256))
        image.putpixel((number % 64, number // 64 % 48), (255, 255, 255))
        image.save(folder / f"image{number:05d}.jpg", quality=80)

with ProcessPoolExecutor() as pool:
    list(pool.map(make, [range(begin, begin + 500) for begin in range(1, count + 1, 500)]))
PYTHON
}
# Made once per machine; a rename makes them whole.
photos=$E2E_CACHE/photos-64x48
if [ ! -d "$photos" ]; then
  made=$(mktemp -d "$E2E_CACHE/photos-XXXXXX")
  make_pictures "$made/photos"
  mv -T "$made/photos" "$photos" 2>/dev/null || true
  rm -rf "$made"
fi
cp -al "$photos" photos
echo "not a picture" >photos/readme.txt

expect_exit 0 "the seed example" "$SHOAL" docker run -v ./photos:/input_images -o results:/output_images \
  --sharding-glob-pattern 'image*.jpg' --sharding-base-path /input_images/ --sharding-batch-size 1000 --results resized \
  imagemagick -resize 100x100 -quality 100 -path /output_images '/input_images/*.jpg'
expect_stderr "shards +10 of 10 succeeded"
expect_stderr "files +10,000 of 10,000"
expect_same "10,000 pictures" $count "$(ls resized/outputs/results | wc -l)"
expect_true "with the inputs' names" diff <(ls "$photos") <(ls resized/outputs/results)
expect_same "… of the right size" "100 75 JPEG" "$(/usr/bin/python3 -c '
from PIL import Image
image = Image.open("resized/outputs/results/image07777.jpg"); image.load()
print(*image.size, image.format)')"
expect_same "… each its own" $count "$(/usr/bin/python3 -c '
import json, sys
print(len({output["sha256"] for output in json.load(sys.stdin)["outputs"]}))' <resized/manifest.json)"
expect_same "ten shards of 1,000" "10 1000" "$(ls resized/shards | wc -l) $(ls resized/shards/00009/outputs/results | wc -l)"

# ---- the same over a real broker by two workers: the same bytes
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/seed-$$-$RANDOM
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
expect_exit 0 "topics" "$SHOAL" topics create
for part in producer "worker --slots 1" "worker --slots 1" merger; do
  # shellcheck disable=SC2086
  SHOAL_LOG=info "$SHOAL" $part 2>"part.${#pids[@]}.err" &
  pids+=($!)
done
expect_exit 0 "by a fleet" "$SHOAL" run --bus "$SHOAL_BUS" --id seed -v ./photos:/input_images -o results:/output_images \
  --glob 'image*.jpg' --base-path /input_images/ --batch-size 1000 --results fleet \
  imagemagick -resize 100x100 -quality 100 -path /output_images '/input_images/*.jpg'
expect_stderr "shards +10 of 10 succeeded"
expect_true "the same bytes" diff -r resized/outputs fleet/outputs
outputs () { sed -n '/^"outputs": \[/,$p' "$1/manifest.json"; }
expect_true "by the same shards" cmp <(outputs resized) <(outputs fleet)
expect_true "and the same output" cmp resized/stdout fleet/stdout
expect_true "both workers had their part" grep -q 'event=shard_done' part.1.err
expect_true "of it" grep -q 'event=shard_done' part.2.err

# ---- the same with inputs and result in S3, by workers that share no folder
use_s3
bucket=seed-$$-$RANDOM
at_end 's3 remove "$bucket"'
s3 make "$bucket"
s3 put photos "s3://$bucket/2019"
kill "${pids[@]}"
for pid in "${pids[@]}"; do expect_end 0 "SIGTERM ends a part" "$pid"; done
pids=()
for part in producer "worker --slots 1" "worker --slots 1" merger; do
  # shellcheck disable=SC2086
  apart "part${#pids[@]}" "$SHOAL" $part
  pids+=($!)
done
export SHOAL_STATE_DIR=$PWD/state
expect_exit 0 "from S3 to S3" "$SHOAL" run --bus "$SHOAL_BUS" --id seed-s3 -v "s3://$bucket/2019/:/input_images" -o results:/output_images \
  --glob 'image*.jpg' --base-path /input_images/ --batch-size 1000 --results "s3://$bucket/out" \
  imagemagick -resize 100x100 -quality 100 -path /output_images '/input_images/*.jpg'
expect_stderr "shards +10 of 10 succeeded"
expect_true "both workers had their part" bash -c 'grep -q event=shard_done apart/part1.err && grep -q event=shard_done apart/part2.err'
expect_exit 0 "its result, fetched" "$SHOAL" get "s3://$bucket/out" from-s3
expect_true "the same bytes again" diff -r resized/outputs from-s3/outputs
expect_true "by the same shards again" cmp <(outputs resized) <(outputs from-s3)

# ---- and from a real IPFS node, by CID
: "${SHOAL_TEST_IPFS_API:?is not set: tests/run.sh sets it, deploy/storage/server.sh start ipfs brings such a server up}"
cid=$(python3 "$E2E_LIB/ipfs_add.py" "$SHOAL_TEST_IPFS_API" photos)
expect_exit 0 "from IPFS" "$SHOAL" docker run --ipfs-api "$SHOAL_TEST_IPFS_API" -v "$cid:/input_images" -o results:/output_images \
  --sharding-glob-pattern 'image*.jpg' --sharding-base-path /input_images/ --sharding-batch-size 1000 --results from-ipfs \
  imagemagick -resize 100x100 -quality 100 -path /output_images '/input_images/*.jpg'
expect_true "the same bytes, too" diff -r resized/outputs from-ipfs/outputs
