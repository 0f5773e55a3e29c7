#!/bin/bash
# A result fetched: whole, checked, gone on with after a kill; what stands in the way is said.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 30
mkdir -p in/deep
printf 'x\n' >"in/deep/with space
and a line.txt"
run () { "$SHOAL" run -q -v "$PWD/in:/in" -o res:/out --glob '**/*.txt' --batch-size 4 --runtime process --results "$1" none sh -c "$2"; }
work='cp -r in/. out/ 2>/dev/null; chmod 755 out/f001.txt 2>/dev/null; mkdir -p "out/e$SHOAL_SHARD_INDEX"; ln -sf "../x y" "out/l$SHOAL_SHARD_INDEX"; echo $SHOAL_SHARD_INDEX'

expect_exit 0 "a result" run r "$work"
expect_exit 0 "is fetched" "$SHOAL" get r copy
expect_stderr 'copy: 31 files'
expect_true "the same tree" diff -r --no-dereference r/outputs copy/outputs
for name in manifest.json stdout stderr report.html; do
  expect_true "the same $name" cmp r/$name copy/$name
done
expect_same "nothing else" "manifest.json outputs report.html stderr stdout" "$(ls -A copy | paste -sd ' ')"
expect_same "modes and links" "$(cd r/outputs; find . -printf '%p %y %m %l\n' | sort)" "$(cd copy/outputs; find . -printf '%p %y %m %l\n' | sort)"
expect_exit 2 "a folder that is there is left alone" "$SHOAL" get r copy
expect_stderr 'copy already exists'
expect_one_line

# ---- cut off in the middle
for nth in 1 3 9 20; do
  SHOAL_FAULT=rename:$nth:28 "$SHOAL" get r again >/dev/null 2>err && false
  expect_same "the disk is full at rename $nth: nothing looks finished" "no" "$([ -e again ] && echo yes || echo no)"
done
expect_exit 0 "the same again goes on" "$SHOAL" get r again
expect_stderr '[1-9][0-9]* of them were already there'
expect_true "and is the same" diff -r --no-dereference copy again

# ---- what isn't as it should be
cp -r again begun.partial
echo rot >begun.partial/outputs/res/f003.txt
expect_exit 0 "a file that was spoilt here is fetched again" "$SHOAL" get r begun
expect_true "and is right" cmp copy/outputs/res/f003.txt begun/outputs/res/f003.txt
chmod u+w r/outputs/res/f005.txt
printf 'rotten\n' >r/outputs/res/f005.txt
expect_exit 3 "one that was spoilt there isn't taken for good" "$SHOAL" get r other
expect_stderr "outputs/res/f005.txt does not match the manifest"
expect_one_line
expect_same "and nothing looks finished" "no" "$([ -e other ] && echo yes || echo no)"
expect_exit 0 "another result" run r2 'cp -r in/. out/'
expect_exit 2 "doesn't go on with it" "$SHOAL" get r2 other
expect_stderr 'other.partial belongs to another result'
head -c 900 r2/manifest.json >cut && mv cut r2/manifest.json
expect_exit 3 "a manifest that is cut off" "$SHOAL" get r2 cutoff
expect_stderr "manifest.json: truncated"
expect_exit 2 "no result" "$SHOAL" get nowhere there
expect_exit 1 "a job that failed" run failed 'exit 3'
expect_exit 1 "is fetched with its exit code" "$SHOAL" get failed failure
expect_stderr "failed: the outputs of 8 shards are missing: 0, 1, 2, 3, 4, 5, 6, 7"
expect_true "with its manifest" grep -q '"state": "failed"' failure/manifest.json

# ---- what is missing, times, holes
expect_exit 1 "a job with one bad shard" run one '[ "$SHOAL_SHARD_INDEX" = 3 ] && exit 3; cp -r in/. out/'
expect_exit 1 "is fetched without it" "$SHOAL" get one some
expect_stderr "one: the outputs of 1 shard are missing: 3"
expect_exit 0 "within --min-success" "$SHOAL" run -q -v "$PWD/in:/in" -o res:/out --glob '**/*.txt' --batch-size 4 --runtime process --min-success 50% \
  --results most none sh -c '[ "$SHOAL_SHARD_INDEX" = 3 ] && exit 3; cp -r in/. out/'
expect_exit 0 "the job counts as done" "$SHOAL" get most mostly
expect_stderr "most: the outputs of 1 shard are missing: 3"
expect_exit 0 "a sparse output of another day" "$SHOAL" run -q -v "$PWD/in:/in" -o res:/out --runtime process --results sparse none \
  sh -c 'truncate -s 64M out/holes; echo end >>out/holes; touch -d 2001-02-03T04:05:06Z out/holes; : >out/empty; head -c 100000 /dev/zero >out/zeros'
expect_exit 0 "is fetched" "$SHOAL" get sparse thin
expect_true "byte by byte" diff -r sparse/outputs thin/outputs
expect_same "with its time" 981173106 "$(stat -c %Y thin/outputs/res/holes)"
expect_same "and its holes" yes "$([ "$(stat -c %b thin/outputs/res/holes)" -lt 1000 ] && echo yes)"
