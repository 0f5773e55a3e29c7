#!/bin/bash
# shoal run --pilot N: N shards first, the others only when all of these succeeded.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 20
mkdir state
# Each start is noted. Shard 9 fails without $STATE/mended, and waits for $STATE/gate where HOLDS is set.
JOB='echo $SHOAL_SHARD_INDEX >>"$STATE/ran"
[ $SHOAL_SHARD_INDEX != 9 ] || [ -z "$HOLDS" ] || until [ -e "$STATE/gate" ]; do sleep 0.02; done
[ $SHOAL_SHARD_INDEX != 9 ] || [ -n "$HOLDS" ] || [ -e "$STATE/mended" ] || { echo "shard 9 is not mended" >&2; exit 3; }
echo "shard $SHOAL_SHARD_INDEX"'
job () { # RESULT OPTION…
  local result=$1
  shift
  "$SHOAL" run --runtime process -j 4 --retries 0 -v in:/in --glob '*.txt' -e "STATE=$PWD/state" -e "HOLDS=${HOLDS-}" \
    --results "$result" "$@" any sh -c "$JOB"
}
ran () { sort -n state/ran | paste -sd ' '; }
all=$(seq 0 19 | paste -sd ' ')
anew () { rm -rf state; mkdir state; : >state/ran; }
finished () { "$SHOAL" status --json "$1" | json succeeded; }

anew
touch state/mended
expect_exit 0 "a pilot that succeeds" job good --pilot 3
expect_same "… its shards began first: the first, the last, one between them" "0 9 19" "$(head -n 3 state/ran | sort -n | paste -sd ' ')"
expect_same "… and each shard once" "$all" "$(ran)"
expect_stderr '^shoal: pilot: 3 shards succeeded, 17 follow; the whole job, by these:$'
expect_stderr '^  time      (about )?[0-9].* 4 at a time$'
expect_stderr '^  memory    (up to [0-9.]+ .iB a shard, [0-9.]+ .iB for 4 at a time|not known)$'
expect_stderr '^  output    0 B$'
expect_same "… the result is whole" "$(seq -f 'shard %g' 0 19)" "$(cat good/stdout)"
expect_exit 0 "the same command again" job good --pilot 3
expect_stderr "already ended"
expect_exit 0 "… without --pilot: the same job" job good
expect_exit 2 "… with another one" job good --pilot 4
expect_stderr "another job: --pilot differs"

anew
expect_exit 1 "a pilot that fails" job bad --pilot 3
expect_same "… starts no other shard" "0 9 19" "$(ran)"
expect_stderr "failed in .*: 1 of the pilot's 3 shards failed; the other 17 of the job didn't run"
expect_stderr 'shards    2 of 20 succeeded, 1 failed, 17 not run'
expect_stderr "stderr of shard 9: shard 9 is not mended"
expect_stderr 'shoal retry .*/bad --failed'
expect_exit 1 "retry without a mend" "$SHOAL" retry bad
expect_same "… tries the pilot again, and no other shard" "0 9 9 19" "$(ran)"
expect_exit 1 "… however the others are asked for" "$SHOAL" retry bad --shard 9,10
expect_same "… they wait for the pilot" "0 9 9 9 19" "$(ran)"
touch state/mended
expect_exit 0 "retry after the mend" "$SHOAL" retry bad
expect_same "… runs the pilot's shard and the others" "0 1 2 3 4 5 6 7 8 9 9 9 9 10 11 12 13 14 15 16 17 18 19" "$(ran)"
expect_stderr 'pilot: 3 shards succeeded, 17 follow'
expect_true "… to the same result" cmp good/stdout bad/stdout
expect_exit 0 "a later retry of one shard" "$SHOAL" retry bad --shard 5
expect_true "… has no pilot" bash -c '! grep -q pilot "$1"' - "$E2E_WORK/err"
expect_exit 0 "one of a shard that was the pilot's" "$SHOAL" retry bad --shard 9
expect_true "… neither" bash -c '! grep -q pilot "$1"' - "$E2E_WORK/err"

# A worker with three free slots starts nothing while a shard of the pilot runs. Twice: stopped by Ctrl-C, killed.
group=
at_end '[ -z "$group" ] || kill -9 -- "-$group" 2>/dev/null'
for how in INT KILL; do
  anew
  HOLDS=1
  as_in_a_terminal setsid bash -c "$(declare -f job); $(declare -p SHOAL JOB HOLDS); exec 2>err.$how; job held-$how --pilot 3; exit \$?" </dev/null &
  group=$!
  wait_for "two of the pilot's shards to end" eval '[ "$(finished held-$how)" = 2 ]'
  expect_same "while the pilot runs no other shard begins ($how)" "0 9 19" "$(ran)"
  kill -$how -- "-$group"
  if [ $how = INT ]; then
    wait_for "the message" grep -q "waiting for 1 running shard" err.$how
    touch state/gate
    expect_end 130 "Ctrl-C in the pilot" $group
    expect_same "… its running shard ended" 3 "$(finished held-$how)"
    group=
    expect_same "… and no other began" "0 9 19" "$(ran)"
    again="$all"
  else
    wait_for "the processes to be gone" eval '! pgrep -g "$group" >/dev/null'
    # As after a reboot: what waited for a time doesn't any more, what is held still is.
    python3 -c 'import sqlite3, sys; bus = sqlite3.connect(sys.argv[1]); bus.execute("UPDATE meta SET value = 1 WHERE key = \"boot\""); bus.commit()' \
      held-$how.partial/.shoal/bus.db
    as_in_a_terminal setsid "$SHOAL" resume held-$how -j 4 </dev/null 2>>err.$how &
    group=$!
    wait_for "the pilot's last shard to begin again" eval '[ "$(ran)" = "0 9 9 19" ]'
    expect_true "… and no other one did" test "$(finished held-$how)" = 2
    touch state/gate
    expect_end 0 "resume after kill -9 and a reboot goes on" $group
    group=
    again="$(printf '%s\n' $all 9 | sort -n | paste -sd ' ')"
  fi
  expect_exit 0 "resume" "$SHOAL" resume held-$how
  expect_same "… runs the others, once each" "$again" "$(ran)"
  expect_true "… to the same result" cmp good/stdout held-$how/stdout
done
HOLDS=

anew
expect_exit 1 "a pilot of as many shards as there are is none" job whole --pilot 20
expect_same "… all run" "$all" "$(ran)"
expect_true "… and nothing is said of it" bash -c '! grep -q pilot "$1"' - "$E2E_WORK/err"
anew
expect_exit 1 "a pilot of one shard is the first" job one --pilot 1
expect_same "… it began alone" 0 "$(head -n 1 state/ran)"
expect_same "… and the others follow" "$all" "$(ran)"
expect_stderr 'pilot: 1 shard succeeded, 19 follow; the whole job, by this one:'
expect_exit 1 "quietly" job quiet --pilot 3 -q
expect_true "… nothing is told of the pilot" bash -c '! grep -q "pilot: " "$1"' - "$E2E_WORK/err"
expect_exit 0 "a plan with --pilot" "$SHOAL" plan -v in:/in --glob '*.txt' --pilot 3 any true

expect_exit 2 "a pilot of none" job x --pilot 0
expect_stderr '\-\-pilot: 0 is out of range'
expect_exit 2 "a pilot and --update" job good --pilot 3 --update
expect_stderr 'leave one of them out'
expect_exit 2 "a pilot on a fleet" "$SHOAL" submit --bus kafka://localhost:1 -v in:/in --glob '*.txt' --results "$PWD/x" --pilot 3 any true
expect_stderr '\-\-pilot is for `shoal run` on one machine: on a fleet, submit a job over some of the inputs first'
expect_exit 2 "… by run as well" job x --pilot 3 --bus kafka://localhost:1
expect_stderr 'is for `shoal run` on one machine'
