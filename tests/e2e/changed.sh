#!/bin/bash
# Inputs that change: after they were listed, and between one run and the next.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
mkdir in
for n in 1 2 3; do echo "$n" >in/$n.txt; done

# The first shard's command writes to what the second one is to read.
run () { "$SHOAL" run -v "$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 1 -j 1 --runtime process "$@"; }
expect_exit 1 "a file that changes behind the plan fails its shard" run --results one none \
  sh -c 'if [ "$SHOAL_SHARD_INDEX" = 0 ]; then echo 22 >'"$PWD"'/in/2.txt; fi; cp in/* out/'
expect_stderr "shard 1: .*2.txt: changed since it was listed"
expect_same "… and no other" "0 2" "$(python3 -c 'import json; print (*[s["index"] for s in json.load (open ("one.partial/manifest.json"))["shards"] if s["state"] == "succeeded"])')"
