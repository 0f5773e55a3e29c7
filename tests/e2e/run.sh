#!/bin/bash
# shoal run: the main way, what it leaves, its exit codes, the same command again.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 20

job () { "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --batch-size 3 --backoff 20ms "$@"; }

expect_exit 0 "a job runs" job --results r --joblog joblog --id job.1 busybox sh -c "$COPY; echo out \$SHOAL_SHARD_INDEX; echo err >&2"
expect_stderr "job job.1 succeeded"
expect_stderr "shards +7 of 7 succeeded"
expect_same "all files are in the result" 20 "$(ls r/outputs/res | wc -l)"
expect_true "with their content" diff -r in r/outputs/res
expect_same "stdout is in shard order" "$(seq -f 'out %g' 0 6)" "$(cat r/stdout)"
expect_same "stderr of every shard" 7 "$(wc -l <r/stderr)"
expect_same "each shard has its folder" 7 "$(ls r/shards | wc -l)"
expect_same "a shard's exit code" 0 "$(cat r/shards/00003/exit_code)"
expect_true "nothing partial is left" test ! -e r.partial
expect_true "the manifest is JSON" python3 -m json.tool r/manifest.json /dev/null
expect_same "the job log has GNU parallel's columns" \
  "$(printf 'Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand')" "$(head -1 joblog)"
expect_same "… and a line for each attempt" 8 "$(wc -l <joblog)"

expect_exit 0 "the same command again has nothing to do" job --results r busybox sh -c "$COPY; echo out \$SHOAL_SHARD_INDEX; echo err >&2"
expect_stderr "has already ended"
expect_exit 2 "another job doesn't touch it" job --results r --retries 9 busybox sh -c "$COPY; echo out \$SHOAL_SHARD_INDEX; echo err >&2"
expect_stderr "another job: --retries differs"
expect_one_line

expect_exit 1 "a failing shard fails the job" job --results f busybox sh -c '[ $SHOAL_SHARD_INDEX != 2 ] || exit 7'
expect_stderr "1 of 7 shards failed"
expect_stderr "shard 2: exit code 7"
expect_stderr "shoal retry .*/f --failed"
expect_true "its result isn't complete" test -d f.partial -a ! -e f

expect_exit 0 "Bacalhau's command line" "$SHOAL" docker run -v ./in:/in -o res:/out --sharding-glob-pattern='*.txt' \
  --sharding-base-path /in/ --sharding-batch-size 10 --results b busybox -- sh -c "$COPY"
expect_same "… does the same" 20 "$(ls b/outputs/res | wc -l)"

expect_exit 0 "--progress json" job --results j --progress json busybox true
expect_stdout '"event":"done".*"state":"succeeded"'
expect_true "every line is JSON" python3 -c 'import json,sys; [json.loads(line) for line in open(sys.argv[1])]' "$E2E_WORK/out"
expect_exit 0 "--quiet" job --results q -q busybox true
expect_same "… says nothing" "" "$(cat "$E2E_WORK/err")"

expect_exit 0 "the default place is the job's id" job --id named busybox true
expect_true "… in the current folder" test -f named/manifest.json
expect_exit 0 "environment, folder, user" job --results e -e A=1 -e B -e SHOAL_SHARD_COUNT -w /tmp -u 7:8 \
  busybox sh -c 'echo "$A $SHOAL_SHARD_COUNT $PWD $(id -u):$(id -g)"'
expect_same "… arrive in the container" "1 7 /tmp 7:8" "$(head -1 e/stdout)"
printf '# comment\n\nA=from file\n' >env
expect_exit 0 "--env-file" job --results ef --env-file env busybox sh -c 'echo "$A"'
expect_same "… is read" "from file" "$(head -1 ef/stdout)"
expect_exit 1 "a program that isn't there is the job's failure" job --results np busybox /no/such/program
expect_stderr "/no/such/program"
expect_same "… and isn't tried again" 7 "$("$SHOAL" status --json np | json attempts)"

expect_exit 0 "--runtime process says that there is no container" "$SHOAL" run --runtime process -v in:/in -o res:/out \
  --glob '*.txt' --results p any sh -c "$COPY"
expect_stderr "without a container"
