#!/bin/bash
# An output that was edited in place is the attempt's file as well: it isn't published under a sum that isn't its own.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 4

expect_exit 0 "a job runs" "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --results r busybox sh -c "$COPY"
cp r/manifest.json before
expect_exit 0 "merging again" "$SHOAL" merge r
expect_true "… gives the same outputs" python3 -c 'import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
sys.exit(a["outputs"] != b["outputs"])' before r/manifest.json
expect_true "… and times are no part of a result" sh -c '! grep -q mtime r/manifest.json'

cp -r r other
expect_exit 0 "a copy with other times is merged" "$SHOAL" merge other

echo changed >r/outputs/res/f002.txt # as an editor that keeps the file does
expect_exit 1 "a changed output isn't merged" "$SHOAL" merge r
expect_stderr 'outputs/res/f002\.txt isn.t what attempt 00001\.[a-z0-9.]* wrote any more'
expect_stderr 'run `shoal retry --shard 1`'
expect_true "… the result stands" test -f r/manifest.json
expect_exit 3 "get doesn't take it either" "$SHOAL" get r copy
expect_stderr "f002"
expect_exit 1 "nor is it thrown away when its shard runs again" "$SHOAL" retry r --shard 1
expect_stderr "outputs/res/f002.txt was not written by shoal"
expect_same "… it is still there" changed "$(cat r/outputs/res/f002.txt)"
mv r/outputs/res/f002.txt mine
expect_exit 0 "out of the way, the result is merged with the new one" "$SHOAL" merge r
expect_same "… as it was" 2 "$(cat r/outputs/res/f002.txt)"
expect_exit 0 "… and got" "$SHOAL" get r copy2
expect_true "… whole" diff -r in copy2/outputs/res

# ---- a reduce container reads the attempts' files before they are merged
mkdir gates
"$SHOAL" run -j 1 -v in:/in -o res:/out --glob 'f00[12].txt' --volume-shared "$PWD/gates:/gates" --results reduced \
  --reduce busybox --reduce-command 'sh -c "cat /shards/*/res/* > /out/all"' \
  busybox sh -c "$COPY; until [ -e /gates/\$(ls /in) ]; do sleep 0.05; done" >run.out 2>run.err &
run=$!
at_end 'kill -9 $run 2>/dev/null || true'
touch gates/f001.txt
wait_for "the first shard's end" eval 'ls reduced.partial/.shoal/attempts/00000.*/attempt.json'
echo changed >"$(echo reduced.partial/.shoal/attempts/00000.*)/outputs/res/f001.txt"
touch gates/f002.txt
code=0
wait $run || code=$?
expect_same "a job whose attempt was edited before its reduce container fails" 1 $code
expect_true "… and says what was edited" grep -q 'outputs/res/f001\.txt isn.t what attempt 00000\.[a-z0-9.]* wrote any more' run.err
expect_same "… the attempts are there" 2 "$(find reduced* -path '*/attempts/0000[01].*' -prune | wc -l)"
expect_same "… no reduce container has read them" 0 "$(find reduced* -path '*/attempts/00002.*' -prune | wc -l)"
