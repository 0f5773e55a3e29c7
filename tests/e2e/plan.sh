#!/bin/bash
# shoal plan: says what would run, makes nothing.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
export SHOAL_IMAGES=$PWD/images # empty: plan needs no image
mkdir in
touch in/{1..7}.txt in/x.png "in/a b.txt" in/$'new\nline.txt'
mkdir sized
for n in {1..7}; do echo -n x >sized/$n; done
before=$(find . | sort)

expect_exit 0 "a summary" "$SHOAL" plan -v in:/in -o res:/out --glob '*.txt' --batch-size 4 some echo hi
expect_stdout "9 files in 3 shards; 10 paths scanned"
expect_stdout "^command +some echo hi"
expect_stdout "is not in the image store"
expect_stdout "^output +outputs/res"
expect_exit 0 "bytes alone bound a shard" "$SHOAL" plan -v sized:/in --glob '*' --batch-bytes 4 --json some
expect_same "… of as many files as fit" 2 "$(json shards <"$E2E_WORK/out")"
expect_exit 0 "bytes and a number of files" "$SHOAL" plan -v sized:/in --glob '*' --batch-bytes 4 --batch-size 1 --json some
expect_same "… bound it both" 7 "$(json shards <"$E2E_WORK/out")"
expect_exit 0 "--atoms" "$SHOAL" plan -v in:/in --glob '?.txt' --batch-size 4 --atoms some
expect_same "one path inside the container a line" "$(seq -f '/in/%g.txt' 1 7)" "$(cat "$E2E_WORK/out")"
expect_exit 0 "--shards" "$SHOAL" plan -v in:/in --glob '?.txt' --batch-size 4 --shards some
expect_same "index, tab, path" "$(printf '%d\t/in/%d.txt\n' 0 1 0 2 0 3 0 4 1 5 1 6 1 7)" "$(cat "$E2E_WORK/out")"
expect_exit 0 "-0" "$SHOAL" plan -v in:/in --glob '*line*' -0 --atoms some
expect_same "ends paths in NUL" "2f696e2f6e65770a6c696e652e74787400" "$(xxd -p "$E2E_WORK/out")"
expect_exit 0 "--shards N slices as in run" "$SHOAL" plan -v in:/in --glob '?.txt' --shards 2 --json some
expect_same "… into N shards" 2 "$(json shards <"$E2E_WORK/out")"
expect_same "--json says the atoms" 7 "$(json atoms <"$E2E_WORK/out")"
expect_exit 0 "--json of every shard" "$SHOAL" plan -v in:/in --glob '?.txt' --batch-size 7 --shards --json some
expect_stdout '^\{"shard":0,.*"atoms":\[\{"path":"/in/1.txt"\}'
expect_exit 0 "without a glob" "$SHOAL" plan -v in:/in some
expect_stdout "one shard with the whole input"
expect_exit 0 "the same plan twice" "$SHOAL" plan -v in:/in --glob '**' --json some
first=$(cat "$E2E_WORK/out")
expect_same "has the same checksum" "$first" "$("$SHOAL" plan -v in:/in --glob '**' --json some)"
expect_exit 2 "no match" "$SHOAL" plan -v in:/in --glob '*.gif' some
expect_stderr "'\*\.gif'"
expect_same "nothing was made" "$before" "$(find . | sort)"
