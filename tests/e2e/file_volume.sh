#!/bin/bash
# One file as a volume, as docker's -v takes it: of this machine, on a fleet's, and what isn't one.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
mkdir in
for n in 1 2 3; do echo "$n" >in/$n.txt; done
echo a,b >one.csv
touch -d 2001-02-03 one.csv in in/*
run () { "$SHOAL" run -q --progress none -o res:/out "$@"; }

for runtime in oci process; do
  for source in ./one.csv one.csv "$PWD/one.csv" "file://$PWD/one.csv"; do
    name=$runtime-$(tr -c 'a-z\n' - <<<"$source")
    expect_exit 0 "$runtime: $source is a volume" run --runtime "$runtime" --results "$name" -v "$source:/in/one.csv" busybox cat /in/one.csv
    expect_same "… with what it holds" "a,b" "$(cat "$name/stdout")"
  done
  expect_exit 0 "$runtime: it can't be written to" run --runtime "$runtime" --results "ro-$runtime" -v ./one.csv:/in/one.csv \
    busybox sh -c 'if echo x >>/in/one.csv; then echo written; else echo refused; fi'
  expect_same "… not even by root" refused "$(cat "ro-$runtime/stdout")"
  expect_same "… and is as it was" "a,b" "$(cat one.csv)"
  expect_exit 0 "$runtime: beside a volume that is split, each shard sees it" run --runtime "$runtime" --results "split-$runtime" \
    -v ./in:/data -v ./one.csv:/model/one.csv --glob '*.txt' --batch-size 1 busybox sh -c 'cat /data/*.txt /model/one.csv'
  expect_same "…" "1 a,b 2 a,b 3 a,b" "$(xargs <"split-$runtime/stdout")"
  expect_exit 0 "$runtime: in a folder that is a volume of its own" run --runtime "$runtime" --results "inside-$runtime" \
    --volume-shared ./in:/data -v ./one.csv:/data/3.txt busybox cat /data/1.txt /data/3.txt
  expect_same "… it lies over what is there" "1 a,b" "$(xargs <"inside-$runtime/stdout")"
done
expect_exit 0 "--mount type=bind takes a file as well" run --results mount --mount "type=bind,source=$PWD/one.csv,target=/one.csv,readonly" busybox cat /one.csv
ln -s one.csv link.csv
expect_exit 0 "a link to a file is that file" run --results link -v ./link.csv:/one.csv busybox cat /one.csv
expect_same "…" "a,b" "$(cat link/stdout)"
expect_exit 0 "reduce sees it" run --results reduce -v ./in:/data -v ./one.csv:/one.csv --glob '*.txt' --reduce busybox --reduce-command 'cat /one.csv' busybox true

# What is neither a file nor a folder, and what isn't there.
mkfifo pipe
expect_exit 2 "a pipe is refused" run --results pipe-r -v ./pipe:/one busybox true
expect_stderr "volume /one: .*/pipe: neither a folder nor a file"
expect_exit 2 "a device is refused" run --results device-r -v /dev/null:/one busybox true
expect_stderr "volume /one: /dev/null: neither a folder nor a file"
expect_exit 2 "a path behind a file is refused" run --results behind-r -v ./one.csv/x:/one busybox true
expect_stderr "one.csv/x: Not a directory"
expect_exit 1 "the image has a folder there" run --results folder-r -v ./one.csv:/bin busybox true
expect_stderr "/bin is a folder in the image"

# Changed since.
again () { run --results again -v ./one.csv:/one.csv busybox cat /one.csv; }
expect_exit 0 "a run" again
expect_exit 0 "again: nothing has changed" again
echo c,d >one.csv
expect_exit 5 "a changed file" again
expect_stderr "changed +1: /one.csv"
expect_exit 0 "--update runs it again" run --results again --update -v ./one.csv:/one.csv busybox cat /one.csv
expect_same "…" "c,d" "$(cat again/stdout)"
rm one.csv
expect_exit 2 "a file that is gone" again
