#!/bin/bash
# What a path that the user gave names already is kept: sockets, logs, reports, folders of caches, images and results.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 3
run () { "$SHOAL" run -q -v "$PWD/in:/in" -o res:/out --glob '*.txt' --runtime process "$@" none sh -c 'cp in/* out/'; }
printf 'years of work\n' >thesis
kept () { expect_same "$1" "years of work" "$(cat "${2:-thesis}")"; }

# ---- a socket
for part in producer worker merger; do
  expect_exit 2 "$part: a file isn't a socket" timeout 10 "$SHOAL" $part --bus "sqlite:$PWD/bus.db" --listen "unix:$PWD/thesis"
  expect_stderr "thesis is a file, not a socket: remove it, or choose another path"
done
kept "the file is still there"

# ---- a job log
expect_exit 2 "a file isn't a job log" run --joblog thesis --results r0
expect_stderr "thesis: the file exists and is not a job log"
kept "nothing is appended to it"
expect_exit 0 "a new job log" run --joblog log --results r
expect_exit 0 "goes on" run --joblog log --results r2
expect_same "with one heading" 1 "$(grep -c ^Seq log)"
expect_exit 0 "a pipe" run --joblog >(cat >piped) --results r3
wait_for "gets the lines" grep -q '^1' piped

# ---- a report
for own in report.html manifest.json stdout; do
  cp -p r/$own before
  expect_exit 2 "the result's own $own" "$SHOAL" report -o r/$own r
  expect_stderr "is a file of the result"
  expect_true "stays as it is" cmp before r/$own
done
expect_exit 0 "a report elsewhere" "$SHOAL" report -o copy.html r
expect_exit 0 "is written over" "$SHOAL" report -o copy.html r
expect_true "as a whole" cmp r/report.html copy.html
expect_exit 0 "one for a pipe" bash -c '"$1" report -o /dev/stdout r | cat >piped.html' - "$SHOAL"
expect_true "too" cmp r/report.html piped.html

# ---- a folder of the name that a fetched result has while it grows
mkdir -p mine.partial/outputs/res
cp thesis mine.partial/outputs/res/f001.txt
expect_exit 2 "a folder that no fetch began" "$SHOAL" get r mine
expect_stderr "mine.partial already exists and contains outputs, which no .shoal get. wrote"
kept "is left alone" mine.partial/outputs/res/f001.txt

# ---- an image store beside other things
bash "$E2E_LIB/images.sh" "$E2E_CACHE/layouts" busybox 2>images.log || { cat images.log; exit 1; }
mkdir -p home/tmp/photos home/images/holiday home/refs
cp thesis home/tmp/photos/; cp thesis home/images/holiday/; cp thesis home/tmp/1.jpg
expect_exit 0 "an image beside them" "$SHOAL" image --images "$PWD/home" import "$E2E_CACHE/layouts/busybox" --as busybox
expect_exit 0 "an image is removed" "$SHOAL" image --images "$PWD/home" remove busybox
kept "what isn't an image stays" home/images/holiday/thesis
kept "and what isn't the store's" home/tmp/photos/thesis
kept "whatever it is called" home/tmp/1.jpg
expect_same "the image is gone" 1 "$(ls home/images | wc -l)"
