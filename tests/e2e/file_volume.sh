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

# What the plan found is what every shard sees: one that comes later runs nothing.
later () { # RESULT OPTION…
  local result=$1
  shift
  "$SHOAL" run -v "$PWD/in:/in" -v "$PWD/model:/model" -o res:/out --glob '*.txt' --batch-size 1 -j 1 --results "$result" "$@"
}
succeeded () { python3 -c 'import json, sys; print (*[s["index"] for s in json.load (open (sys.argv[1] + "/manifest.json"))["shards"] if s["state"] == "succeeded"])' "$1"; }
changing='cat /in/*.txt >/out/$SHOAL_SHARD_INDEX'
for kind in "in place" "by one as old and as long"; do
  rm -rf one.partial model model.2 && echo v1 >model && echo v2 >model.2
  touch -d 2001-02-03 model
  if [ "$kind" = "in place" ]; then change="echo v22 >$PWD/model"; else change="touch -d 2001-02-04 $PWD/model.2; mv $PWD/model.2 $PWD/model"; fi
  expect_exit 1 "a file that changes between two shards ($kind)" later one --runtime process --retries 0 none \
    sh -c "cp in/* out/; if [ \$SHOAL_SHARD_INDEX = 0 ]; then $change; fi"
  expect_stderr "shards 1, 2: .*volume /model: $PWD/model: changed since it was listed"
  expect_same "… no shard sees the other one" 0 "$(succeeded one.partial)"
done
rm -rf model && echo v1 >model
expect_exit 1 "one that a folder takes the place of" later folder --runtime process --retries 0 none \
  sh -c "cp in/* out/; if [ \$SHOAL_SHARD_INDEX = 0 ]; then rm $PWD/model; mkdir $PWD/model; fi"
expect_stderr "shards 1, 2: .*volume /model: $PWD/model isn't a file any more"
rm -rf model && echo v1 >model
expect_exit 1 "before the reduce step" later before --runtime process --retries 0 --reduce none --reduce-command 'cat model' none \
  sh -c "cp in/* out/; if [ \$SHOAL_SHARD_INDEX = 2 ]; then echo v2 >>$PWD/model; fi"
expect_stderr "volume /model: $PWD/model: changed since it was listed"

# The inputs of shards that were refused such a file aren't to blame, and none runs again before it is back.
rm -rf model && echo v1 >model && touch -d 2001-02-03 model
expect_exit 1 "a file that changes" later blame --runtime process --retries 0 none \
  sh -c "cp in/* out/; if [ -e in/1.txt ]; then mv $PWD/model $PWD/model.1; echo v2 >$PWD/model; fi"
expect_stderr "shoal retry .*blame --failed$"
expect_true "… no input failed alone" sh -c "! grep -q 'failed alone\|--quarantine' '$E2E_WORK/err'"
for how in "" "--shard 0" --quarantine "--split=each --quarantine" "--retries 2"; do
  expect_exit 2 "retry $how before it is back" "$SHOAL" retry blame $how
  expect_stderr "volume /model: $PWD/model: changed since the job was planned, and all its shards have the same one: put it back"
done
expect_same "… the plan is as it was" 0 "$(succeeded blame.partial)"
mv model.1 model
expect_exit 0 "its status when it is back" "$SHOAL" status blame
expect_true "… no input failed alone" sh -c "! grep -q 'failed alone\|--quarantine' '$E2E_WORK/out'"
expect_exit 0 "nothing is left out then" "$SHOAL" retry blame --quarantine
expect_same "… all shards are there" "0 1 2" "$(succeeded blame)"
expect_exit 1 "a command that the image hasn't got" run --results typo -v ./in:/in --glob '*.txt' --batch-size 1 --retries 0 busybox no-such-program
expect_true "… isn't an input's fault" sh -c "! grep -q 'failed alone\|--quarantine' '$E2E_WORK/err'"
expect_exit 1 "an input that goes" later gone --runtime process --retries 0 none \
  sh -c "cp in/* out/; if [ -e in/1.txt ]; then mv $PWD/in/2.txt $PWD/away; fi"
expect_stderr "inputs +1 input failed alone: /in/2.txt"
expect_stderr "--quarantine: without these inputs"
mv away in/2.txt
rm -rf gone.partial

# Before resume: the first shard waits until the run is told to stop.
rm -rf model && echo v1 >model
mkdir begun
as_in_a_terminal setsid bash -c "$(declare -f later); $(declare -p SHOAL); later stopped --runtime process none sh -c 'cp in/* out/; touch $PWD/begun/\$SHOAL_SHARD_INDEX; until [ -e $PWD/go ]; do sleep 0.02; done' 2>stopped.log; exit \$?" </dev/null &
run=$!
wait_for "the first shard to begin" test -e begun/0
kill -INT -- "-$run"
wait_for "the message" grep -q "press Ctrl-C again" stopped.log
touch go
expect_end 130 "a run that was told to stop" $run
echo v2 >model
expect_exit 1 "a file that changed before resume" "$SHOAL" resume stopped
expect_stderr "volume /model: $PWD/model: changed since it was listed"

# The same command again.
rm -rf model && echo v1 >model
whole () { run --results whole --runtime process -v ./in:/in -v ./model:/model --glob '*.txt' "$@" none sh -c 'cat model >out/$SHOAL_SHARD_INDEX'; }
expect_exit 0 "a run over a file that was just written" whole
expect_exit 0 "again: nothing has changed" whole
echo old >older && touch -d 2001-02-03 older && mv older model
expect_exit 5 "an older file in its place" whole
expect_stderr "changed +1: /model"
expect_exit 0 "--update runs all shards" whole --update
expect_same "… with it" "old old old" "$(cat whole/outputs/res/* | xargs)"
expect_exit 0 "again: nothing has changed" whole
