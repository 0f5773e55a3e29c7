#!/bin/bash
# shoal retry --split: failed shards run again as smaller ones; --quarantine: without their bad inputs.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 24
mkdir state
# A file that says "bad" spoils its shard. Each run of a shard is noted with its files.
JOB='tr "\0" "\n" <"$SHOAL_ATOMS_FILE" | wc -l >>"$STATE/ran"
tr "\0" "\n" <"$SHOAL_ATOMS_FILE" | while read -r f; do
  ! grep -q bad "$f" || { echo "$f spoils it" >&2; exit 3; }
  echo "$f $(cat "$f")"
done'
job () { "$SHOAL" run -j 1 --retries 0 --runtime process -v in:/in --glob '*.txt' -e "STATE=$PWD/state" "$@" any sh -c "$JOB"; }
counts () { sort -n state/ran | uniq -c | awk '{print $1 "x" $2}' | paste -sd ' '; }
member () { python3 -c 'import json, sys; m = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }
echo bad >in/f007.txt
echo bad >in/f008.txt
echo bad >in/f020.txt

expect_exit 1 "three bad files in two of three shards" job --batch-size 8 --results halves
expect_same "… cost 16 files" 1 "$(member halves.partial/manifest.json 'm["counts"]["succeeded"]')"
expect_stderr 'shoal retry .*halves --failed, or --split'
: >state/ran
expect_exit 1 "halves" "$SHOAL" retry halves --split
expect_same "… of the shards that failed" "4x4" "$(counts)"
expect_same "… the plan has one shard more for each" 5 "$(member halves.partial/manifest.json 'm["plan"]["shards"]')"
expect_same "… and the same files" 24 "$(member halves.partial/manifest.json 'm["plan"]["atoms"]')"
: >state/ran
expect_exit 1 "halves again" "$SHOAL" retry halves --split
expect_same "… of halves" "4x2" "$(counts)"
: >state/ran
expect_exit 1 "and again" "$SHOAL" retry halves --split
expect_same "… until one file is left" "4x1" "$(counts)"
expect_stderr 'failed alone.*in/f007.txt, .*in/f008.txt, .*in/f020.txt'
expect_stderr 'shoal retry .*halves --failed, or --quarantine'
expect_same "three bad files cost three files" 21 "$(member halves.partial/manifest.json 'sum(s["atoms"] for s in m["shards"] if s["state"] == "succeeded")')"
: >state/ran
expect_exit 1 "what can't be split any more runs as it is" "$SHOAL" retry halves --split
expect_same "… alone" "3x1" "$(counts)"
: >state/ran
expect_exit 0 "without the bad files the job is done" "$SHOAL" retry halves --quarantine
expect_true "… without a word of trouble" bash -c '! grep -q "exited with\|error" "$1"' - "$E2E_WORK/err"
expect_stderr 'job .* partial.*: complete except 3 quarantined inputs'
expect_same "… and nothing runs for it" "" "$(counts)"
expect_same "a file of the result names them" "/in/f007.txt /in/f008.txt /in/f020.txt" "$(paste -sd ' ' halves/quarantined.txt)"
expect_same "… the manifest as well" "['/in/f007.txt', '/in/f008.txt', '/in/f020.txt']" "$(member halves/manifest.json 'm["quarantined"]')"
expect_manifest halves/manifest.json
expect_true "… and the report" grep -q /in/f020.txt halves/report.html
expect_same "its state is partial" partial "$(member halves/manifest.json 'm["state"]')"
expect_exit 0 "the same command again knows them" job --batch-size 8 --results halves
expect_stderr 'already ended'
expect_exit 0 "its logs are there" "$SHOAL" logs halves --shard 0
expect_stdout 'f001.txt 1'
expect_exit 0 "its status too" "$SHOAL" status halves
expect_stdout 'complete except 3 quarantined inputs'

mkdir good
cp in/*.txt good
rm good/f007.txt good/f008.txt good/f020.txt
expect_exit 0 "a run from nothing over the good files" "$SHOAL" run -j 1 --runtime process -v good:/in --glob '*.txt' --batch-size 8 -e "STATE=$PWD/state" --results nothing any sh -c "$JOB"
expect_true "… gives the same" cmp nothing/stdout halves/stdout

expect_exit 1 "another job with bad files" job --batch-size 8 --results each
: >state/ran
expect_exit 0 "each file alone, the bad ones left out, in one command" "$SHOAL" retry each --split=each --quarantine
expect_same "… runs 16 files, once" "16x1" "$(counts)"
expect_true "… to the same result" cmp nothing/stdout each/stdout
expect_same "no attempt is left over" "$(member each/manifest.json 'm["plan"]["shards"]')" "$(ls each/.shoal/attempts | wc -l)"

expect_exit 1 "a third" job --batch-size 8 --results both
: >state/ran
expect_exit 0 "halves until the bad ones are found" "$SHOAL" retry both --split --quarantine
expect_same "… runs each file at most three times" "4x1 4x2 4x4" "$(counts)"
expect_true "… to the same result" cmp nothing/stdout both/stdout

expect_exit 1 "a fourth" job --batch-size 8 --results words
expect_exit 2 "several files can't be quarantined for one" "$SHOAL" retry words --quarantine
expect_stderr 'shard 0 has 8 inputs.*--split'
expect_exit 2 "--split of a number" "$SHOAL" retry words --split=3
expect_stderr 'halves or each'
expect_exit 1 "only one shard" "$SHOAL" retry words --shard 0 --split
expect_same "… the other failure stays" "4" "$(member words.partial/manifest.json 'm["plan"]["shards"]')"
expect_same "… failed as before" 1 "$(member words.partial/manifest.json 'sum(s["state"] == "failed" and s["atoms"] == 8 for s in m["shards"])')"
expect_exit 1 "a whole job" "$SHOAL" run -j 1 --retries 0 --runtime process -v in:/in --results whole any false
expect_exit 2 "… has nothing to split" "$SHOAL" retry whole --split
expect_stderr 'one shard that sees everything'
expect_exit 1 "…" "$SHOAL" run -j 1 --retries 0 --runtime process -v in:/in --glob '*.txt' --batch-size 8 --results index any sh -c 'echo $SHOAL_SHARD_INDEX; false'
expect_exit 2 "… isn't numbered anew" "$SHOAL" retry index --split
expect_stderr 'SHOAL_SHARD_INDEX'

# The bad inputs are found and left out; then the reduce container fails, and nothing is left to cut.
expect_exit 1 "a job whose reduce container fails too" job --batch-size 8 -o res:/out --results reduced --reduce any --reduce-command "sh -c 'echo x >>$PWD/state/reduced; exit 3'"
expect_exit 1 "--split --quarantine ends with it" timeout -s KILL 120 "$SHOAL" retry reduced --split=each --quarantine
expect_same "… which ran once" 1 "$(wc -l <state/reduced)"
expect_same "… all shards being done" 0 "$(member reduced.partial/manifest.json 'sum(s["state"] != "succeeded" for s in m["shards"])')"

mkdir odd
printf 'ok\n' >$'odd/a\n<b>\x1b[31m.txt'
printf 'bad\n' >$'odd/c\n&\x1b[31m.txt'
printf 'bad\n' >$'odd/d\xff.txt'
expect_exit 1 "names with anything in them" "$SHOAL" run -j 1 --retries 0 --runtime process -v odd:/in --glob '*.txt' --batch-size 9 --results odd-result any sh -c 'for f in /in/*; do grep -q ok "$f" || exit 1; done'
expect_exit 0 "… are found and left out" "$SHOAL" retry odd-result --split=each --quarantine
expect_same "… one a line, without control characters" 2 "$(grep -c '^/in/[cd][[:print:]]*$' odd-result/quarantined.txt)"
expect_manifest odd-result/manifest.json
expect_exit 0 "get copies the list" "$SHOAL" get odd-result copy
expect_true "… as it is" cmp odd-result/quarantined.txt copy/quarantined.txt

# Killed at any moment the job is as before or as after.
for delay in 0 1 2 3 4 5 6; do
  job --batch-size 8 --results killed$delay >out 2>&1 || true
  "$SHOAL" retry killed$delay --split=each >out 2>&1 &
  retry=$!
  read -rt "$(printf 0.%02d $((delay * 3)))" <> <(:) || true
  kill -9 $retry 2>/dev/null || true
  wait $retry 2>/dev/null || true
  "$SHOAL" resume killed$delay >out 2>&1 || true
  expect_exit 0 "killed after $((delay * 30)) ms, retried" "$SHOAL" retry killed$delay --split=each --quarantine
  expect_true "… to the same result" cmp nothing/stdout killed$delay/stdout
done
