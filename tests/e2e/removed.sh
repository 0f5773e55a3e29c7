#!/bin/bash
# Results that somebody removed, or a part of them: the same command again makes them again, in a folder as in S3.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_s3
bucket=e2e-$$-$RANDOM
at_end 's3 remove "$bucket"'
s3 make "$bucket"
make_files in 6
export SHOAL_STATE_DIR=$PWD/state
WORK='for f in /in/*; do cp "$f" /out/; done; echo "$SHOAL_SHARD_INDEX" >>"$RAN"'
job=(-v in:/in -o res:/out --glob '*.txt' --batch-size 2 --runtime process -e "RAN=$PWD/ran")
again () { : >ran; "$SHOAL" run "${job[@]}" "${@:2}" --results "$1" none sh -c "$WORK"; }
expect_ran () { # WHAT INDEX…
  expect_same "$1" "${*:2}" "$(sort ran | paste -sd ' ')"
}
check () { # WHAT NAME
  rm -rf got
  expect_exit 0 "$1: get brings it" "$SHOAL" get "s3://$bucket/$2" got
  expect_true "… all of it" diff -r in got/outputs/res
}

# ---- a folder
expect_exit 0 "a result in a folder" again here
expect_ran "… of three shards" 0 1 2
expect_exit 0 "the same command again" again here
expect_stderr "has already ended"
rm -rf here/*
expect_exit 0 "what a person sees of it was removed" again here
expect_stderr "the result is no longer at .*/here: merging it again"
expect_ran "… nothing runs for that"
expect_true "… it is there again" diff -r in here/outputs/res
rm -rf here/outputs
expect_exit 0 "its outputs were removed" "$SHOAL" resume here
expect_true "… resume does it as well" diff -r in here/outputs/res
rm -rf here/* here/.shoal/attempts/00001.*
expect_exit 0 "… and an attempt" again here
expect_stderr "running its missing shards again"
expect_ran "… that shard runs again" 1
expect_true "… it is there again" diff -r in here/outputs/res
rm -rf here
expect_exit 0 "all of the folder" again here
expect_ran "… all of it runs" 0 1 2

# ---- S3
expect_exit 0 "a result in S3" again "s3://$bucket/one"
expect_exit 0 "the same command again" again "s3://$bucket/one"
expect_stderr "has already ended"
expect_ran "… runs nothing"
s3 delete "s3://$bucket/one/manifest.json"
expect_exit 0 "its manifest was removed" again "s3://$bucket/one"
expect_stderr "the result is no longer at s3://$bucket/one: merging it again"
expect_ran "… nothing runs for that"
check "… again" one
s3 delete "s3://$bucket/one/manifest.json"
s3 delete "s3://$bucket/one/.shoal/attempts/00001.g1.a1.s1/"
expect_exit 0 "… and an attempt" again "s3://$bucket/one"
expect_stderr "running its missing shards again"
expect_ran "… that shard runs again" 1
check "… again" one
s3 delete "s3://$bucket/one/"
expect_exit 2 "all of it was removed: nothing to merge" "$SHOAL" merge "s3://$bucket/one"
expect_stderr "s3://$bucket/one: the result no longer exists: run its original command again"
expect_exit 2 "nothing to resume" "$SHOAL" resume "s3://$bucket/one"
expect_stderr "run its original command again"
expect_exit 0 "the command that made it" again "s3://$bucket/one"
expect_ran "… runs all of it" 0 1 2
check "… again" one
s3 delete "s3://$bucket/one/"
expect_exit 0 "another job may have the place" again "s3://$bucket/one" --batch-size 3
expect_ran "… of two shards" 0 1
check "… whose result it is" one

# ---- a reduce container's
reduced=(--reduce none --reduce-command "sh -c 'cat /shards/*/res/* >/out/all'")
expect_exit 0 "a reduced result in S3" again "s3://$bucket/two" "${reduced[@]}"
s3 delete "s3://$bucket/two/manifest.json"
s3 delete "s3://$bucket/two/.shoal/attempts/00003.g1.a1.s1/"
expect_exit 0 "its reduced outputs were removed" again "s3://$bucket/two" "${reduced[@]}"
expect_ran "… no shard runs again"
rm -rf got
expect_exit 0 "… get brings it" "$SHOAL" get "s3://$bucket/two" got
expect_same "… all of it" 6 "$(wc -l <got/outputs/res/all)"
