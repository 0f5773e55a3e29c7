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

# --update: what changed runs, the rest is reused; the result is that of a run from nothing.
rm -r in && mkdir in
for n in 1 2 3 4 5 6; do echo "$n" >in/$n.txt; touch -d 2001-02-03 in/$n.txt; done
mkdir ran
update () { # RESULT OPTION…
  local result=$1
  shift
  "$SHOAL" run -v "$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 2 --runtime process --results "$result" "$@" none \
    sh -c 'for f in in/*; do md5sum <$f >out/${f#in/}; : >"'"$PWD"'/ran/${f#in/}"; done; ln -s x "out/link-$(ls in | head -n 1)"; mkdir -p "out/deep/$(ls in | head -n 1)"; chmod 700 out/deep/*; ls in'
}
outputs () { python3 -c 'import json, sys; print (json.dumps ([json.load (open (sys.argv[1] + "/manifest.json"))[k] for k in ("outputs", "counts", "plan")], sort_keys=True))' "$1"; }
ran () { (cd ran && echo *); rm -f ran/*; }
expect_exit 0 "a run" update u
expect_same "… of all" "1.txt 2.txt 3.txt 4.txt 5.txt 6.txt" "$(ran)"
expect_exit 0 "--update: nothing has changed" update u --update
expect_stderr "nothing to do"
expect_same "… runs nothing" "*" "$(ran)"
echo 7 >in/7.txt
echo 44 >in/4.txt
expect_exit 0 "--update: one is new, one changed" update u --update
expect_stderr "2 shards are as they were"
expect_same "… runs two shards" "3.txt 4.txt 7.txt" "$(ran)"
expect_exit 0 "a run from nothing" update fresh
expect_true "… has the same tree" diff -r --no-dereference fresh/outputs u/outputs
expect_same "… and modes" "$(cd fresh/outputs && find . -printf '%p %m\n' | sort)" "$(cd u/outputs && find . -printf '%p %m\n' | sort)"
expect_same "… and manifest" "$(outputs fresh)" "$(outputs u)"
expect_true "… and logs" diff fresh/stdout u/stdout
expect_true "the earlier result is at its side" test -e u.before/outputs/res/4.txt -a ! -e u.partial
expect_exit 0 "the updated result is a result" "$SHOAL" status u
expect_exit 0 "the same command again" update u
expect_stderr "nothing to do"
rm -r u.before
rm -f ran/*
rm in/1.txt
expect_exit 0 "--update: one is gone" update u --update
expect_same "… shards that follow are others now" "2.txt 3.txt 4.txt 5.txt 6.txt 7.txt" "$(ran)"
expect_same "… and nothing of it is left" "2.txt 3.txt 4.txt 5.txt 6.txt 7.txt" "$(ls u/outputs/res | grep '^[0-9]' | paste -sd ' ')"
rm -r u.before
expect_exit 0 "--again runs everything" update u --again
expect_same "… of it" "2.txt 3.txt 4.txt 5.txt 6.txt 7.txt" "$(ran)"
expect_exit 2 "… but not over a result that it would have to keep" update u --again
expect_stderr "u.before is there already"
rm -r u.before

# Bad files, mended.
bad () { "$SHOAL" run -v "$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 1 --retries 0 --runtime process --results bad "$@" none \
  sh -c ': >"'"$PWD"'/ran/$(ls in)"; grep -q bad in/* && exit 1; cp in/* out/'; }
echo bad >in/3.txt
expect_exit 1 "a bad file" bad
rm -f ran/*
echo good >in/3.txt
expect_exit 0 "--update: it is mended" bad --update
expect_same "… and runs alone" "3.txt" "$(ran)"
expect_same "… the result is whole" "2.txt 3.txt 4.txt 5.txt 6.txt 7.txt" "$(ls bad/outputs/res | paste -sd ' ')"
rm -r bad.before.partial

# An update that fails leaves the old result as it is, and its own shards for the next one.
echo bad >in/8.txt
echo five >in/5.txt
expect_exit 1 "--update: a bad file" bad --update
expect_same "… two shards ran" "5.txt 8.txt" "$(ran)"
expect_same "… the old result stands" "5 2.txt 3.txt 4.txt 5.txt 6.txt 7.txt" "$(cat bad/outputs/res/5.txt) $(ls bad/outputs/res | paste -sd ' ')"
expect_exit 1 "the same command goes on with the new one" bad
expect_exit 1 "--again begins it anew" bad --again
rm -r bad.before.partial
rm -f ran/*
echo good >in/8.txt
expect_exit 0 "--update: it is mended" bad --update
expect_same "… and runs alone" "8.txt" "$(ran)"
expect_same "… the result is new" "five good" "$(cat bad/outputs/res/5.txt bad/outputs/res/8.txt | paste -sd ' ')"
expect_same "… the old one is beside it" "5" "$(cat bad.before/outputs/res/5.txt)"

expect_exit 2 "a fleet's job isn't updated" "$SHOAL" run --bus kafka://127.0.0.1:1 --update -v in:/in -o res:/out --results "$PWD/f" busybox true
expect_stderr "^shoal: --update is for a run on this machine, without --bus"
