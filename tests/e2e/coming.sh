#!/bin/bash
# The commands of docs/docker.md, bacalhau.md, parallel.md, nextflow.md and snakemake.md, as they stand there.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
cp -r "$SHOAL_IMAGES" store
export SHOAL_IMAGES=$PWD/store
"$SHOAL" image import "$E2E_CACHE/layouts/busybox" --as tool >/dev/null
mkdir bin
ln -s "$SHOAL" bin/shoal
export PATH=$PWD/bin:$PATH
make_files photos 25 photo .jpg

# Those of the page's shell blocks, one file each.
commands () { # PAGE
  awk -v page="$1" '/^```sh$/ { file = page "." ++n; next } /^```$/ { file = "" } file != "" { print >file }' \
    "$E2E_LIB/../../docs/$1.md"
}
run_page () { # PAGE COUNT
  local file
  commands "$1"
  expect_same "$1: commands" "$2" "$(compgen -G "$1.[0-9]*" | wc -l)"
  for file in "$1".[0-9]*; do expect_exit 0 "$1: $(head -1 "$file" | cut -c1-70)" bash -e "$file"; done
}
run_page docker 2
expect_same "one container saw all" 25 "$(ls done/outputs/thumbs | wc -l)"
expect_same "ten files each" 3 "$(ls tens/shards | grep -c '^[0-9]')"
expect_same "… and all of them" 25 "$(ls tens/outputs/thumbs | wc -l)"
run_page bacalhau 1
expect_same "two files each" 13 "$(ls resized/shards | grep -c '^[0-9]')"
expect_same "… and all of them" 25 "$(ls resized/outputs/results | wc -l)"
{ echo id,name; seq -f '%.0f,n' 2500; } >table.csv
run_page parallel 5
expect_same "rows of a table, each shard with its header" "1001 1001 501" "$(cat table/outputs/results/* | paste -sd ' ')"
expect_same "parallel's own" 25 "$(ls small | wc -l)"
expect_same "the same files" "$(ls small)" "$(ls gzipped/outputs/small)"
expect_same "… without containers" "$(ls small)" "$(ls plain/outputs/small)"
expect_same "the one that failed, again" "again-7" "$(ls -d again-*)"
run_page nextflow 2
expect_same "every output" 25 "$(ls published/outputs/thumbs | grep -c 'small$')"
expect_same "the reduce step saw three shards" 3 "$(wc -l <summed/outputs/sums/all)"
run_page snakemake 2
expect_same "every file" 25 "$(ls made/outputs/small | wc -l)"
expect_same "… with its sum" "$(md5sum <photos/photo007.jpg)" "$(<made/outputs/small/photo007.txt)"
