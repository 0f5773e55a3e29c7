#!/bin/bash
# Records that are signed on topics that anybody may write to: ours and an upstream's run; what isn't signed, is signed by others, was changed
# or moved is a letter and never runs, whichever topic it is on; keys are replaced while jobs are there; who has none is told.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 4
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
make_key () { # FILE
  (umask 077; openssl rand -hex 32 >"$1")
}
upstream () { # ACTION ARGUMENT…, against $place
  local action=$1
  shift
  "$E2E_PYTHON" "$E2E_LIB/upstream.py" "$action" "$place" "$@"
}
new_bus () {
  place=$SHOAL_TEST_KAFKA/signed-$$-$RANDOM
  export SHOAL_BUS=kafka://$place
  expect_exit 0 "topics" "$SHOAL" topics create --partitions 2 --queue other
}
start_fleet () { # NAME [OPTION…]
  local part
  for part in producer worker merger; do
    SHOAL_LOG=info "$SHOAL" $part --listen 127.0.0.1:0 "${@:2}" >"$1.$part.out" 2>"$1.$part.err" &
    pids+=($!)
  done
  for part in producer worker merger; do
    wait_for "$1's $part" grep -q 'event=listening' "$1.$part.err"
  done
}
stop_fleet () {
  local pid
  kill "${pids[@]}"
  for pid in "${pids[@]}"; do expect_end 0 "SIGTERM ends it" "$pid"; done
  pids=()
}
job () { # ID [SHELL]: that says on the host that it ran
  echo '{"id": "'"$1"'", "results": "'"$PWD/$1"'", "image": "x", "runtime": "process", "glob": "*.txt", "batch_size": 2, "command":
    ["sh", "-c", "touch '"$PWD/ran-$1"'; '"${2:-cat in/*}"'"], "volumes": [{"source": "'"$PWD"'/in", "path": "/in"}]}'
}
ours () { # ID
  "$SHOAL" submit --id "$1" -v "$PWD/in:/in" --glob '*.txt' --batch-size 2 --runtime process --results "$PWD/$1" "${@:2}" \
    x sh -c 'cat in/*'
}
letters_of () { # REASON
  "$SHOAL" dead list --reason "$1" | tail -n +2
}
has_letters () { # REASON COUNT
  [ "$(letters_of "$1" | wc -l)" -eq "$2" ]
}

# ---- a fleet with a key
new_bus
make_key key
make_key strangers
start_fleet first --job-key key
expect_exit 0 "our own job" ours own --job-key key
expect_exit 0 "runs" "$SHOAL" watch -q own
expect_same "its output" "1 2 3 4" "$(paste -sd ' ' own/stdout)"
SHOAL_JOB_KEY=key upstream submit "$(job theirs)"
expect_exit 0 "an upstream's, signed in Python" upstream follow theirs
expect_same "succeeded" SUCCEEDED "$(json state <"$E2E_WORK/out")"
expect_same "its output" "1 2 3 4" "$(paste -sd ' ' theirs/stdout)"

# ---- jobs that aren't
upstream submit "$(job nobody)"
SHOAL_JOB_KEY=strangers upstream submit "$(job stranger)"
upstream copy jobs jobs theirs=x             # changed after it was signed
SHOAL_JOB_KEY=key upstream garbage jobs "no job" # signed garbage is what it was before: undecodable
wait_for "a letter for what isn't signed" has_letters unsigned 1
expect_true "which says what is missing" grep -q "it isn't signed: its sender needs the key" <<<"$(letters_of unsigned)"
wait_for "two for bad signatures" has_letters bad_signature 2
expect_true "which says why" grep -q 'its signature is of none of the keys .* or it was changed' <<<"$(letters_of bad_signature)"
wait_for "one for garbage" has_letters undecodable 1
port=$(sed -n 's/.*event=listening.*127.0.0.1:\([0-9]*\).*/\1/p' first.producer.err)
curl -sS "http://127.0.0.1:$port/metrics" >metrics
expect_true "counted: unsigned" grep -q '^shoal_dead_letters_total{reason="unsigned"} 1$' metrics
expect_true "counted: bad" grep -q '^shoal_dead_letters_total{reason="bad_signature"} 2$' metrics
expect_exit 0 "jobs that count" "$SHOAL" list --job-key key
expect_same "are two" "own theirs" "$(tail -n +2 "$E2E_WORK/out" | cut -f1 | sort | paste -sd ' ')"
upstream copy jobs jobs own=
expect_exit 0 "a job behind all that" ours behind --job-key key
expect_exit 0 "runs" "$SHOAL" watch -q behind
expect_same "sent again, word for word, it is the same job: no letter" "1 2" "$(for reason in unsigned bad_signature; do letters_of $reason | wc -l; done | paste -sd ' ')"
expect_exit 0 "a letter that is sent again" "$SHOAL" dead replay --reason unsigned --job-key key
wait_for "is a letter again: its headers are those it came with" has_letters unsigned 1
expect_true "none of them ever ran" test ! -e ran-nobody -a ! -e ran-stranger

# ---- shards
upstream copy shards shards.other                    # signed, but for another queue
upstream copy shards shards behind/map/1/0/1=x       # changed
upstream forge shards Shard "theirs/map/7/0/1" '{"job_id": "theirs", "index": 0, "generation": 7, "kind": "MAP", "attempt": 1, "atom_count": 0,
  "digest": "", "atoms": ""}'
SHOAL_LOG=info "$SHOAL" worker --listen 127.0.0.1:0 --queue other --job-key key --jobs 1 >other.out 2>other.err &
pids+=($!)
wait_for "the worker of the other queue" grep -q 'event=dead_lettered .*shards.other/[01]/0 reason=bad_signature' other.err
wait_for "forged shards" grep -q 'event=dead_lettered .*shards/[01]/[0-9]* reason=unsigned' first.worker.err
wait_for "changed shards" grep -q 'event=dead_lettered .*shards/[01]/[0-9]* reason=bad_signature' first.worker.err
curl -sS "http://$(sed -n 's/.*event=listening.*address=//p' other.err | cut -d' ' -f1)/metrics" | grep '^shoal_attempts_total' >attempts
expect_true "attempts are counted" test -s attempts
expect_true "none was begun" eval '! grep -v " 0$" attempts'

# ---- whoever may write to all topics can't end, cancel, or take over what runs
SHOAL_JOB_KEY=key upstream submit "$(job long "while [ ! -e $PWD/go ]; do sleep 0.1; done; cat in/*")"
wait_for "a job that takes long" test -e ran-long
event () { # KIND FIELDS
  upstream forge events Event long '{"kind": "'"$1"'", "job_id": "long", "time": 1, "generation": 1, "writer": "mallory"'"${2-}"'}'
}
event FINISHED ', "index": 0, "attempt": 1, "starts": 1, "report": {"outcome": "SUCCEEDED", "final": true, "exit_code": 0}'
event FINISHED ', "index": 1, "attempt": 1, "starts": 1, "report": {"outcome": "SUCCEEDED", "final": true, "exit_code": 0}'
event FAILED ', "reason": "mallory says so"'
event CANCELLED
event PLANNED ', "shards": 1, "atoms": 1, "bytes": 1'
upstream forge control Control long '{"kind": "CANCEL", "job_id": "long", "time": 1, "generation": 1}'
upstream forge status JobStatus long '{"job_id": "long", "state": "FAILED", "generation": 9, "closed": 9, "updated": 1}'
for key in long/map/1/0/1 long/map/1/1/1; do
  upstream forge claims Claim $key '{"kind": "DONE", "writer": "mallory", "starts": 9, "lease": 1000}'
  upstream forge claims Claim $key '{"kind": "CLAIM", "writer": "mallory", "starts": 2147483647, "lease": 9223372036854775807}'
done
upstream forge leases Claim group/merger/0 '{"kind": "RENEW", "writer": "mallory", "starts": 99, "lease": 100000000}'
for topic in control status events; do
  wait_for "letters of $topic" grep -q "event=dead_lettered record=[^ ]*\.$topic/.* reason=unsigned" first.merger.err
done
wait_for "and of claims" grep -q 'event=dead_lettered record=[^ ]*\.claims/.* reason=unsigned' first.worker.err
expect_same "it still runs" running "$("$SHOAL" status --job-key key --json long | json state)"
touch go
expect_exit 0 "and ends as itself" "$SHOAL" watch -q long --job-key key
expect_same "with its output" "1 2 3 4" "$(paste -sd ' ' long/stdout)"
expect_true "nobody ended of it" kill -0 "${pids[@]}"

# ---- who has no key is told, but for those who only read
expect_exit 2 "a submission without" ours keyless
expect_one_line
expect_stderr "records on this bus are signed, and a job without a signature is ignored: use --job-key FILE"
SHOAL_JOB_KEY=key upstream submit "$(job mended "test -e $PWD/mend || exit 1; cat in/*" | sed 's/}$/, "retries": 0}/')"
expect_exit 1 "a job that fails" "$SHOAL" watch -q mended
expect_exit 2 "a retry without" "$SHOAL" retry --bus "$SHOAL_BUS" mended
expect_stderr "signed, and a shard without a signature is ignored"
for part in producer worker merger; do
  expect_exit 2 "a $part without" "$SHOAL" $part
  expect_stderr "records on this bus are signed, and a $part's record without a signature is ignored"
done
expect_exit 0 "but the list" "$SHOAL" list
SHOAL_JOB_KEY=key upstream submit "$(job ended "sleep 600")"
wait_for "a job that takes too long" test -e ran-ended
expect_exit 2 "a cancel without a key" "$SHOAL" cancel ended
expect_stderr "records on this bus are signed, and a control record without a signature is ignored"
expect_exit 0 "a cancel with it" "$SHOAL" cancel --job-key key ended
wait_for "ends it" eval '[ "$("$SHOAL" status --job-key key --json ended | json state)" = cancelled ]'
expect_exit 2 "no such file" "$SHOAL" list --job-key nowhere
expect_stderr '--job-key .*nowhere: No such file'
cp key open; chmod 644 open
SHOAL_LOG=error expect_exit 2 "a key for all to read" "$SHOAL" worker --job-key open
expect_one_line
expect_stderr '--job-key \(SHOAL_JOB_KEY\): open: accessible by all users of this machine \(mode 0644\): run `chmod o= open`'
expect_exit 2 "a bus that isn't signed" "$SHOAL" list --bus sqlite:x.db --job-key key
expect_stderr '--job-key: records on sqlite:x.db are not signed'

# ---- a key is replaced: what it signed counts, what is signed with it from now on doesn't
stop_fleet
make_key new
{ cat new; echo "$(<key) until $(date -ud '+3 seconds' +%FT%TZ)"; } >both
chmod 600 both
start_fleet second --job-key both
expect_exit 0 "in the meantime the old one does" ours meantime --job-key key
expect_exit 0 "runs" "$SHOAL" watch -q meantime
sleep 3.1
SHOAL_JOB_KEY=key upstream submit "$(job late)"
wait_for "then it doesn't" grep -q 'event=dead_lettered .*jobs/.* reason=bad_signature error="it is signed with a key that counts for what was written before' second.producer.err
expect_exit 0 "the new one" ours fresh --job-key new
expect_exit 0 "runs" "$SHOAL" watch -q fresh
expect_same "the old ones' jobs are there" "behind ended fresh long meantime mended own theirs" \
  "$("$SHOAL" list --job-key both | tail -n +2 | cut -f1 | sort | paste -sd ' ')"
touch mend
expect_exit 0 "one of them runs again" "$SHOAL" retry --job-key both --bus "$SHOAL_BUS" mended
expect_exit 0 "to its end" "$SHOAL" watch -q mended --job-key both
expect_same "with its output" "1 2 3 4" "$(paste -sd ' ' mended/stdout)"
expect_true "none of the others ever ran" test ! -e ran-late
stop_fleet

# ---- a bus that wasn't signed until now
new_bus
start_fleet plain
expect_exit 0 "a job of before" ours before
expect_exit 0 "runs" "$SHOAL" watch -q before
stop_fleet
expect_exit 0 "one that waits" ours waits
{ cat key; echo "unsigned until $(date -ud '+2 seconds' +%FT%TZ)"; } >turning
chmod 600 turning
start_fleet turned --job-key turning
expect_exit 0 "runs" "$SHOAL" watch -q waits
sleep 2.1
upstream submit "$(job after)"
wait_for "from then on it doesn't" has_letters unsigned 1
expect_true "and never ran" test ! -e ran-after
expect_same "the jobs that count" "before waits" "$("$SHOAL" list --job-key turning | tail -n +2 | cut -f1 | sort | paste -sd ' ')"
stop_fleet
