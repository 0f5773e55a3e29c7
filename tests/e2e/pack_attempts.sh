#!/bin/bash
# --pack-attempts: what many small shards leave behind is one file, and is still there to be read.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
shards=${SHOAL_TEST_SHARDS:-200}
mkdir in
for ((i = 1; i <= shards; i++)); do printf '%d\n' "$i" >"in/$(printf %05d "$i")"; done
job () { # RESULT OPTION…
  "$SHOAL" run -v in:/in -o res:/out --glob '*' --runtime process --results "$@" any \
    sh -c 'cp in/* out/; [ "$SHOAL_SHARD_INDEX" -gt 2 ] || { echo "out $SHOAL_SHARD_INDEX"; echo "err $SHOAL_SHARD_INDEX" >&2; }'
}
inodes () { find "$1" -printf '%i\n' | sort -u | wc -l; }

expect_exit 2 "not behind a URL" job s3://bucket/x --pack-attempts
expect_stderr "--pack-attempts is for results in a folder of a run on this machine"
expect_exit 2 "nor where a reduce step reads what is in no result" job reduced --pack-attempts --reduce any --reduce-command true
expect_stderr "--pack-attempts keeps no outputs but the result's, and with --reduce those of the shards aren't in it"
expect_exit 2 "nor where one of two is left out" job first --pack-attempts --on-conflict first
expect_stderr "with --on-conflict first not all of the shards' are in it"
expect_exit 0 "a job that keeps all" job kept -q
expect_exit 0 "one that doesn't" job packed -q --pack-attempts
expect_true "at most two inodes a shard: $(inodes packed), beside $(inodes kept)" [ "$(inodes packed)" -le $((2 * shards)) ]
expect_true "… and less than half of the space" [ $((2 * $(du -sk packed | cut -f1))) -lt "$(du -sk kept | cut -f1)" ]
expect_true "no attempt has a folder" eval '[ -z "$(ls packed/.shoal/attempts)" ] && [ ! -e packed/shards ]'
for name in outputs stdout stderr; do expect_true "the same $name" diff -r kept/$name packed/$name; done
expect_manifest packed/manifest.json
logs () { "$SHOAL" logs "$@" 2>&1; }
expect_same "logs has the same" "$(logs kept)" "$(logs packed)"
expect_same "… of each shard" "$(logs kept --shard 1)" "$(logs packed --shard 1)"
expect_same "… of one stream" "err 2" "$(logs packed --shard 2 --stderr)"
expect_same "… of one that printed nothing" "" "$(logs packed --shard 7)"
expect_same "… when followed" "$(logs kept -f)" "$(logs packed -f)"
expect_exit 0 "tar reads it" tar -xf packed/.shoal/attempts.tar 00001.g1.a1.s1
expect_same "… as it was" "out 1 res" "$(cat 00001.g1.a1.s1/stdout) $(python3 -c 'import json; print(json.loads(open("00001.g1.a1.s1/outputs.jsonl").readline())["output"])')"
expect_exit 0 "get copies and checks it" "$SHOAL" get packed copy
expect_true "… all of it" diff -r packed/outputs copy/outputs
for command in status report "status --shards"; do expect_exit 0 "$command" "$SHOAL" $command packed; done
for command in "retry --shard 1" merge; do
  expect_exit 2 "$command: none can run beside what is packed" "$SHOAL" $command packed
  expect_stderr "packed: its shards were packed \(--pack-attempts\), so that none can run or be merged again: run the job anew"
done
expect_exit 2 "… nor be taken over" job packed -q --update
expect_true "the result stands" test -e packed/manifest.json
expect_exit 0 "the same command has nothing to do" job packed --pack-attempts
expect_stderr "nothing to do"
cp -r kept/.shoal/attempts/00003.* packed/.shoal/attempts/
mkdir packed/.shoal/attempts/other
expect_exit 0 "where a killed run left an attempt that is packed" job packed --pack-attempts
expect_same "… it is removed, and nothing else" other "$(ls packed/.shoal/attempts)"
rmdir packed/.shoal/attempts/other
expect_exit 0 "it packs what was kept" job kept --pack-attempts
expect_same "… the same" "$(inodes packed)" "$(inodes kept)"
expect_exit 0 "all anew" job kept -q --again
expect_true "… is kept" test -e kept/shards/00001/attempt.json
expect_exit 0 "packed and gone" rm -r packed/manifest.json packed/outputs
expect_exit 0 "it is made again" job packed -q --pack-attempts
expect_true "… all of it" diff -r kept/outputs packed/outputs
expect_same "… and packed again" "$(logs kept)" "$(logs packed)"

# ---- what isn't whole stays as it is
fails () { "$SHOAL" run -q -v in:/in -o res:/out --glob '0000*' --runtime process --results fails --retries 0 "$@" any sh -c 'cp in/* out/; echo no >&2; [ -e '"$PWD"'/mended ] || [ "$SHOAL_SHARD_INDEX" != 4 ]'; }
expect_exit 1 "a job that fails" fails --pack-attempts
expect_true "… has its attempts" test -e fails.partial/shards/00004/stderr
touch mended
expect_exit 0 "so that retry goes on" "$SHOAL" retry fails --pack-attempts
expect_true "… and packs then" eval '[ -e fails/.shoal/attempts.tar ] && [ ! -e fails/shards ]'
echo damage | dd of=fails/.shoal/attempts.tar bs=1 seek=150 conv=notrunc status=none
expect_exit 0 "a pack that was damaged" "$SHOAL" logs fails
expect_stderr 'event=logs_unavailable .*attempts.tar: isn.t what was written at byte 0'
