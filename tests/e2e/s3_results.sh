#!/bin/bash
# Results in S3: one machine, then a fleet whose parts share no folder at all; kills, retries, conflicts, two jobs at one place, what get does.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
use_s3
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
bucket=e2e-$$-$RANDOM
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; s3 remove "$bucket"'
s3 make "$bucket"
make_files in 40
s3 put in "s3://$bucket/in"
export HOME=$PWD/home SHOAL_STATE_DIR=$PWD/state
WORK='mkdir -p /out/deep/er /out/empty; for f in /in/*; do cp "$f" /out/; cp "$f" "/out/deep/er/again-$(basename "$f")"; done; ln -s deep "/out/link$SHOAL_SHARD_INDEX"; echo "shard $SHOAL_SHARD_INDEX"; echo err >&2'
job=(-v "s3://$bucket/in:/in" -o res:/out --glob '*.txt' --batch-size 2)
same_as () { # WHAT REFERENCE RESULT
  expect_true "$1: outputs" diff -r --no-dereference "$2/outputs" "$3/outputs"
  expect_true "$1: stdout" cmp "$2/stdout" "$3/stdout"
  expect_true "$1: stderr" cmp "$2/stderr" "$3/stderr"
}

# ---- on one machine
expect_exit 0 "a result in a folder" "$SHOAL" run "${job[@]}" --results here busybox sh -c "$WORK"
expect_exit 0 "a result in S3" "$SHOAL" run "${job[@]}" --results "s3://$bucket/one/" busybox sh -c "$WORK"
expect_stderr "result +s3://$bucket/one$"
expect_exit 0 "get brings it" "$SHOAL" get "s3://$bucket/one" got
expect_stderr "shoal: got: 80 files"
same_as "as it would be here" here got
expect_exit 2 "not over what is there" "$SHOAL" get "s3://$bucket/one" got
expect_exit 0 "status by its URL" "$SHOAL" status "s3://$bucket/one"
expect_stdout "20 of 20 succeeded"
expect_exit 0 "logs, which aren't here any more" env SHOAL_STATE_DIR="$PWD/state" "$SHOAL" logs "s3://$bucket/one" --shard 7
expect_stdout "^shard 7$"
expect_exit 0 "the same command again changes nothing" "$SHOAL" run "${job[@]}" --results "s3://$bucket/one/" busybox sh -c "$WORK"
expect_exit 2 "another job there is refused" "$SHOAL" run "${job[@]}" --batch-size 3 --results "s3://$bucket/one" busybox sh -c "$WORK"
expect_exit 2 "from another machine, too" env SHOAL_STATE_DIR="$PWD/other" "$SHOAL" run "${job[@]}" --results "s3://$bucket/one" busybox sh -c "$WORK"
expect_stderr "s3://$bucket/one holds the result of another job"
expect_exit 2 "a place that can't be written" "$SHOAL" run "${job[@]}" --results http://127.0.0.1:9/x busybox true
expect_stderr "expected a folder or s3://"
expect_exit 2 "get from where nothing is" "$SHOAL" get "s3://$bucket/nothing" nothing
expect_stderr "the result is incomplete"
expect_exit 2 "a bucket that isn't there" "$SHOAL" run "${job[@]}" --results s3://no-such-bucket-here/x busybox true
expect_stderr "NoSuchBucket"

# ---- get goes on where it was, and checks
cp -r got half.partial
rm half.partial/outputs/res/f00*.txt
echo changed >half.partial/outputs/res/f010.txt
echo part >half.partial/.shoal-fetch-0123456789abcdef # of a file that a kill cut off
expect_exit 0 "a copy that was interrupted" "$SHOAL" get "s3://$bucket/one" half
expect_stderr "80 files.*70 of them were already there"
same_as "is completed" here half
echo 9 | s3 write "s3://$bucket/one/$(s3 list "s3://$bucket/one" | grep 'outputs/res/f003.txt')"
expect_exit 2 "an object that isn't what the manifest says" "$SHOAL" get "s3://$bucket/one" damaged
expect_stderr "f003.txt: checksum mismatch: SHA256 is"
expect_true "is never there under its name" test ! -e damaged.partial/outputs/res/f003.txt

# ---- an attempt that isn't there any more isn't an empty one
expect_exit 0 "a result" "$SHOAL" run "${job[@]}" --results "s3://$bucket/gone" busybox sh -c "$WORK"
"$E2E_PYTHON" -c 'import boto3, sys; boto3.client("s3").delete_object(Bucket=sys.argv[1], Key=sys.argv[2])' "$bucket" "gone/.shoal/attempts/00004.g1.a1.s1/outputs/res/f009.txt"
expect_exit 2 "of which an object was removed" "$SHOAL" get "s3://$bucket/gone" gone
expect_stderr "f009.txt: no longer exists"

# ---- failing, and again
mkdir world
FAIL="[ \$SHOAL_SHARD_INDEX != 5 ] || [ -e /world/good ] || exit 3; $WORK"
expect_exit 1 "a shard fails" "$SHOAL" run "${job[@]}" --results "s3://$bucket/two" --retries 1 --volume-shared "$PWD/world:/world" busybox sh -c "$FAIL"
expect_true "no manifest says that it is whole" bash -c "! \"\$0\" \"\$1\" list s3://$bucket/two | grep -qx manifest.json" "$E2E_PYTHON" "$E2E_LIB/s3.py"
expect_exit 2 "there is no result to get" "$SHOAL" get "s3://$bucket/two" two
expect_true "of 20 shards, one with two attempts" bash -c "[ \$(\"\$0\" \"\$1\" list s3://$bucket/two/.shoal/attempts | cut -d/ -f1 | sort -u | wc -l) = 20 ]" "$E2E_PYTHON" "$E2E_LIB/s3.py"
expect_exit 1 "with --keep-attempts those that lost stay" "$SHOAL" retry "s3://$bucket/two" --failed --keep-attempts
expect_same "… all three" 22 "$(s3 list "s3://$bucket/two/.shoal/attempts" | cut -d/ -f1 | sort -u | wc -l)"
: >world/good
expect_exit 0 "the failed one again" "$SHOAL" retry "s3://$bucket/two" --failed
expect_exit 0 "makes it whole" "$SHOAL" get "s3://$bucket/two" two
same_as "in the end" here two
expect_same "attempts that lost are gone" 20 "$(s3 list "s3://$bucket/two/.shoal/attempts" | cut -d/ -f1 | sort -u | wc -l)"
expect_true "and so is the unfinished manifest" bash -c "! \"\$0\" \"\$1\" list s3://$bucket/two | grep -qx manifest.partial.json" "$E2E_PYTHON" "$E2E_LIB/s3.py"

# ---- paths that several shards wrote
CLASH='for f in /in/*; do cat "$f" >>/out/all.txt; done; echo "$SHOAL_SHARD_INDEX" >/out/mine.txt; echo x >"/out/own$SHOAL_SHARD_INDEX.txt"'
for policy in first last rename concat; do
  "$SHOAL" run "${job[@]}" --results "clash-$policy" --on-conflict $policy busybox sh -c "$CLASH" 2>/dev/null
  expect_exit 0 "conflicts: $policy" "$SHOAL" run "${job[@]}" --results "s3://$bucket/clash-$policy" --on-conflict $policy busybox sh -c "$CLASH"
  expect_exit 0 "… got" "$SHOAL" get "s3://$bucket/clash-$policy" "got-$policy"
  expect_true "… the same" diff -r "clash-$policy/outputs" "got-$policy/outputs"
done
expect_exit 4 "conflicts: fail" "$SHOAL" run "${job[@]}" --results "s3://$bucket/clash" busybox sh -c "$CLASH"
expect_exit 2 "… has no result" "$SHOAL" get "s3://$bucket/clash" got-clash
expect_exit 0 "until it is merged again" "$SHOAL" merge "s3://$bucket/clash" --on-conflict last
expect_exit 0 "… got" "$SHOAL" get "s3://$bucket/clash" got-clash
expect_true "… the same" diff -r clash-last/outputs got-clash/outputs

# ---- a reduce container gets what the shards made
REDUCE='for s in /shards/*; do cat "$s"/res/*.txt; done >/out/sum.txt'
"$SHOAL" run "${job[@]}" --results reduced --reduce busybox --reduce-command "sh -c '$REDUCE'" busybox sh -c "$WORK" 2>/dev/null
expect_exit 0 "with a reduce container" "$SHOAL" run "${job[@]}" --results "s3://$bucket/reduced" --reduce busybox --reduce-command "sh -c '$REDUCE'" busybox sh -c "$WORK"
expect_exit 0 "… got" "$SHOAL" get "s3://$bucket/reduced" got-reduced
expect_true "… the same" diff -r reduced/outputs got-reduced/outputs

# ---- a fleet whose parts see nothing of each other: each has a file system of its own mounted over its place, and nobody else's
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/results-$$-$RANDOM
expect_exit 0 "topics" "$SHOAL" topics create
number=0
part () { # NAME OPTION…
  apart "$1.$((number += 1))" "$SHOAL" "$@"
  pids+=($!)
}
part producer
part worker --slots 1 --lease 3s
part worker --slots 1 --lease 3s
part merger
submit () { "$SHOAL" submit --id "$1" "${job[@]}" --results "s3://$bucket/$1" "${@:3}" busybox sh -c "$2" >/dev/null; }
has_done () { [ "$("$SHOAL" status --json "$1" | json succeeded)" -ge "$2" ]; }
submit fleet "$WORK"
expect_exit 0 "a job by parts that share nothing" "$SHOAL" watch fleet
expect_exit 0 "its result, by its id" "$SHOAL" get fleet fleet
same_as "as on one machine" here fleet
expect_exit 0 "logs from where they are kept" "$SHOAL" logs fleet --shard 3
expect_stdout "^shard 3$"
expect_true "both workers had their part" bash -c 'grep -q event=shard_done apart/worker.2.err && grep -q event=shard_done apart/worker.3.err'
expect_same "the status says where" "s3://$bucket/fleet" "$("$SHOAL" status --json fleet | json result)"

s3 delete "s3://$bucket/fleet/manifest.json"
expect_exit 2 "the same job again, whose result was removed" "$SHOAL" submit --wait --id fleet "${job[@]}" --results "s3://$bucket/fleet" busybox sh -c "$WORK"
expect_stderr "job fleet has ended, and its result is no longer at s3://$bucket/fleet: choose another --id"

# ---- killed again and again. In each other round a fourth of the shards has an output that goes in parts
LARGE='[ $((SHOAL_SHARD_INDEX % 4)) != 1 ] || dd if=/dev/zero of=/out/large$SHOAL_SHARD_INDEX bs=1M seek=39 count=1 2>/dev/null'
expect_exit 0 "a result with large outputs" "$SHOAL" run "${job[@]}" --results large busybox sh -c "$WORK; $LARGE"
uploads_of () { # JOB: what is unfinished of its large outputs, whatever their attempts were called, and the notes
  local shard
  for shard in 01 05 09 13 17; do
    printf '%s\n' .shoal/attempts/000$shard.g1.a{1..4}.s{1..9}/outputs/res/large${shard#0}
  done | s3 uploads "s3://$bucket/$1"
  s3 list "s3://$bucket/$1/.shoal/uploads"
}
seed=${SHOAL_SEED:-$RANDOM}
echo "SHOAL_SEED=$seed"
RANDOM=$seed
for round in $(seq "${SHOAL_ROUNDS:-4}"); do
  large=$((round % 2)) reference=here
  [ $large = 0 ] || reference=large
  submit "round$round" "sleep 0.1; $WORK$([ $large = 0 ] || echo "; $LARGE")"
  for blow in 1 2; do
    wait_for "shards to be done" has_done "round$round" $((blow * (1 + RANDOM % 6)))
    victim=$((RANDOM % 2 == 0 ? 1 : RANDOM % 2 == 0 ? 2 : 3))
    name=$([ $victim = 3 ] && echo merger || echo worker)
    kill -9 "${pids[$victim]}"
    wait "${pids[$victim]}" 2>/dev/null || true
    # shellcheck disable=SC2046
    part $name $([ $name = merger ] || echo --slots 1 --lease 3s)
    pids[victim]=${pids[-1]}
    unset 'pids[-1]'
  done
  expect_exit 0 "round $round ends" "$SHOAL" watch "round$round"
  expect_exit 0 "… its result" "$SHOAL" get "round$round" "round$round"
  same_as "… the same" $reference "round$round"
  expect_same "… and nothing is left of what lost" 20 "$(s3 list "s3://$bucket/round$round/.shoal/attempts" | cut -d/ -f1 | sort -u | wc -l)"
  expect_same "… and no upload" "" "$(uploads_of "round$round")"
  rm -rf "round$round" "round$round.partial"
done
