#!/bin/bash
# --reduce: one more container makes the final outputs of all shards' outputs. And jobs that aren't sharded.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 5
job () { "$SHOAL" run --backoff 20ms -v in:/in -o res:/out --glob '*.txt' "$@"; }

expect_exit 0 "a job with a reduce container" job --results r --reduce busybox \
  --reduce-command 'sh -c "cat /shards/*/outputs/res/n /shards/*/res/n 2>/dev/null > /out/all; echo reduced"' \
  busybox sh -c 'cat /in/* > /out/n'
expect_same "the result is what it wrote" "1 2 3 4 5" "$(tr '\n' ' ' <r/outputs/res/all | sed 's/ $//')"
expect_same "… and nothing else" all "$(ls r/outputs/res)"
expect_same "no failure is told" "[]" "$("$SHOAL" status --json r | json failures)"
expect_exit 0 "its status" "$SHOAL" status r
expect_true "… says nothing of a failure" sh -c '! grep -qE "failed|next" ../out'
expect_exit 0 "its report" "$SHOAL" report r
expect_true "… neither" sh -c '! grep -qE "failed|next" ../out'
expect_exit 0 "its shards" "$SHOAL" status --shards r
expect_stdout "^reduce	succeeded	1	succeeded	0	$"
expect_same "none failed" "" "$("$SHOAL" logs --failed r 2>&1)"
expect_exit 0 "the plan" "$SHOAL" plan -v in:/in -o res:/out --glob '*.txt' --reduce nothere --reduce-command 'sum "a b"' busybox true
expect_stdout "^reduce    nothere sum 'a b'$"
expect_stdout "^image     nothere is not in the image store"
expect_exit 0 "its log" "$SHOAL" logs r
expect_stdout reduced
expect_exit 1 "a reduce container that fails" job --results f --retries 0 --reduce busybox --reduce-command 'sh -c "exit 3"' \
  busybox sh -c 'cat /in/* > /out/n'
expect_stderr "reduce"
expect_exit 0 "its shards" "$SHOAL" status --shards f
expect_stdout "^reduce	failed	1	failed	3	exit code 3$"
expect_exit 0 "its letter" "$SHOAL" dead list --bus "sqlite:$PWD/f.partial/.shoal/bus.db"
expect_stdout "/reduce	failed	"
expect_true "report.html names it" grep -q '<td>reduce</td><td>failed</td>' f.partial/report.html
expect_exit 1 "retry runs it again, and no shard" "$SHOAL" retry f
expect_same "… five shards and two reductions" 7 "$("$SHOAL" status --json f | json attempts)"

expect_exit 0 "a job without a glob" "$SHOAL" run -v in:/in -o res:/out --results one busybox sh -c 'ls /in; env; cp /in/* /out'
expect_same "sees everything" 5 "$(ls one/outputs/res | wc -l)"
expect_true "has no shards in its result" test ! -e one/shards
expect_true "nor in its environment" sh -c '! grep -q SHOAL_SHARD one/stdout'
