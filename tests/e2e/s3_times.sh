#!/bin/bash
# What S3 keeps of a file beside its bytes: results that are fetched have their times; inputs that change between one run and the next are found.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_s3
bucket=e2e-$$-$RANDOM
at_end 's3 remove "$bucket"'
s3 make "$bucket"
export SHOAL_STATE_DIR=$PWD/state

# ---- times of results
mkdir files
echo old >files/old.txt
touch -d '1999-12-31 23:59:58.123456789Z' files/old.txt
echo ancient >files/ancient.txt # before 1970 there is no form for it
touch -d '1969-07-20 20:17:40Z' files/ancient.txt
head -c 34m /dev/zero >files/large.bin # sent in parts
touch -d '2012-06-06 01:02:03.5Z' files/large.bin
expect_exit 0 "a result in S3" "$SHOAL" run -q -o res:/out --runtime process --results "s3://$bucket/times" none sh -c "cp -p '$PWD'/files/* out/"
expect_exit 0 "is fetched" "$SHOAL" get "s3://$bucket/times" got
times () { (cd "$1" && find large.bin old.txt -printf '%p %T@\n' | sort); }
expect_same "with its files' times" "$(times files)" "$(times got/outputs/res)"
expect_true "but for one before 1970" test got/outputs/res/ancient.txt -nt files/large.bin
expect_same "the same after an interrupted copy" "$(times files)" "$(mkdir half.partial && cp -p got/manifest.json half.partial && "$SHOAL" get "s3://$bucket/times" half 2>/dev/null; times half/outputs/res)"

# ---- inputs in S3, a result in a folder
mkdir in ran
for n in 1 2 3 4 5 6; do echo "$n" >in/$n.txt; done
s3 put in "s3://$bucket/in"
update () { # RESULT OPTION…
  local result=$1
  shift
  "$SHOAL" run -v "s3://$bucket/in:/in" -o res:/out --glob '*.txt' --batch-size 2 --runtime process --results "$result" "$@" none \
    sh -c 'for f in in/*; do cp $f out/; : >"'"$PWD"'/ran/${f#in/}"; done'
}
ran () { (cd ran && echo *); rm -f ran/*; }
expect_exit 0 "a run over S3" update u
expect_same "… of all" "1.txt 2.txt 3.txt 4.txt 5.txt 6.txt" "$(ran)"
expect_exit 0 "again: nothing has changed" update u
expect_stderr "nothing to do"
expect_exit 0 "--update: neither" update u --update
expect_same "… runs nothing" "*" "$(ran)"
mkdir more
echo 7 >more/7.txt
echo four >more/4.txt
s3 put more "s3://$bucket/in"
expect_exit 5 "again: inputs that are new and changed" update u
expect_stderr "new +1: /in/7.txt"
expect_stderr "changed +1: /in/4.txt"
expect_exit 0 "--update: one is new, one changed" update u --update
expect_stderr "2 shards are as they were"
expect_same "… runs two shards" "3.txt 4.txt 7.txt" "$(ran)"
expect_exit 0 "a run from nothing" update fresh
expect_true "… has the same tree" diff -r fresh/outputs u/outputs
rm -f ran/*
rm -r u.before
expect_exit 0 "--again" update u --again
expect_same "… runs everything" "1.txt 2.txt 3.txt 4.txt 5.txt 6.txt 7.txt" "$(ran)"
