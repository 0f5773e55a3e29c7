#!/bin/bash
# Two shards wrote one path: every policy, from run and from merge.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 3
WRITE='cat /in/* > /out/same; cat /in/* > "/out/own$SHOAL_SHARD_INDEX"'
job () { "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' "$@" busybox sh -c "$WRITE"; }

expect_exit 4 "fail, the default" job --results fail
expect_stderr "same was written by shard 0 and"
expect_stderr "shoal merge .*fail --on-conflict"
expect_true "no result stands" test ! -e fail
expect_same "but every shard's own folder" 2 "$(cat fail.partial/shards/00001/outputs/res/same)"
expect_exit 0 "first" job --results first --on-conflict first
expect_same "… is the lowest shard's" 1 "$(cat first/outputs/res/same)"
expect_exit 0 "last" job --results last --on-conflict last
expect_same "… is the highest shard's" 3 "$(cat last/outputs/res/same)"
expect_exit 0 "concat" job --results concat --on-conflict concat
expect_same "… is all in shard order" "1 2 3" "$(tr '\n' ' ' <concat/outputs/res/same | sed 's/ $//')"
expect_exit 0 "rename" job --results rename --on-conflict rename
expect_same "… keeps them all" 6 "$(ls rename/outputs/res | wc -l)"

for policy in first last concat rename; do
  expect_exit 0 "merge --on-conflict $policy" "$SHOAL" merge fail --on-conflict $policy
  expect_true "… gives what run does" diff -r $policy/outputs fail/outputs
  expect_true "… stands" test -d fail -a ! -e fail.partial
done
expect_exit 4 "merge --on-conflict fail of a result that stands" "$SHOAL" merge fail --on-conflict fail
expect_true "… leaves it standing" diff -r rename/outputs fail/outputs
expect_same "nothing was run for it" 3 "$("$SHOAL" status --json fail | json attempts)"
expect_exit 0 "merge with the job's own policy" "$SHOAL" merge first/
