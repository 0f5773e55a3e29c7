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

# The same command again.
rm -r in && mkdir in
for n in 1 2 3 4 5; do echo "$n" >in/$n.txt; touch -d 2001-02-03 in/$n.txt; done
again () { "$SHOAL" run -v "$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 2 --runtime process --results r none sh -c 'cp in/* out/'; }
expect_exit 0 "a run" again
expect_exit 0 "again: nothing has changed" again
expect_stderr "nothing to do"
echo 9 >in/9.txt
echo 0 >in/0.txt
echo changed >in/3.txt
rm in/4.txt
expect_exit 5 "again: inputs that are new, changed and gone" again
expect_stderr "new +2: /in/0.txt, /in/9.txt"
expect_stderr "changed +1: /in/3.txt"
expect_stderr "gone +1: /in/4.txt"
rm in/9.txt in/0.txt
echo 4 >in/4.txt
expect_exit 5 "… also when each has one of its name" again
expect_stderr "changed +2: /in/3.txt, /in/4.txt"
mv in gone
expect_exit 2 "… a volume that isn't there is an error" again
mv gone in

# Folders as atoms, and a whole volume.
mkdir -p sets/a/deep sets/b ref
echo x >sets/a/deep/x
echo y >sets/b/y
echo z >ref/z
find sets ref -depth -exec touch -d 2001-02-03 {} +
folders () { "$SHOAL" run -v "$PWD/sets:/in" --volume-shared "$PWD/ref:/ref" -o res:/out --glob '*' --runtime process --results folders none sh -c 'cp -r in/* out/'; }
expect_exit 0 "a run over folders" folders
expect_exit 0 "again: nothing has changed" folders
echo more >sets/a/deep/x
expect_exit 5 "a file in a folder" folders
expect_stderr "changed +1: /in/a"
touch -d 2001-02-03 sets/a/deep/x
echo new >ref/new
expect_exit 5 "a file in a whole volume" folders
expect_stderr "changed +1: /ref"
