#!/bin/bash
# Queues of a fleet: whose workers run what, and what is said where nobody does.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 12
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/q-$$-$RANDOM

part () { # LOG COMMAND OPTION…
  local log=$1
  shift
  SHOAL_LOG=info "$SHOAL" "$@" >"$log.out" 2>"$log.err" &
  pids+=($!)
}
submit () { # ID OPTION…
  local id=$1
  shift
  "$SHOAL" submit --id "$id" -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/$id" "$@" x sh -c 'cat in/*'
}

expect_exit 0 "topics" "$SHOAL" topics create --partitions 2
expect_exit 2 "a queue without topics is the submitter's error" submit none --queue gpu
expect_stderr "queue gpu: .*no topic .*shards.gpu: .*topics create --bus $SHOAL_BUS --queue gpu"
expect_one_line
expect_exit 2 "and the worker's" "$SHOAL" worker --queue gpu
expect_stderr "no topic .*shards.gpu"
expect_exit 2 "a queue's name is part of a topic's" submit none --queue 'a/b'
expect_stderr '"a/b": expected 1 to 64 small letters'
expect_exit 0 "a queue of its own" "$SHOAL" topics create --queue gpu --partitions 3
expect_stdout 'shards.gpu: made, 3 partitions'
expect_exit 0 "is seen without being named" "$SHOAL" topics describe
expect_stdout 'claims.gpu: 3 partitions'

part producer producer
part merger merger --listen 127.0.0.1:0
part plain worker
expect_exit 0 "a job in it" submit drawn --queue gpu
expect_exit 0 "a job outside" submit plain
expect_exit 0 "runs" "$SHOAL" watch -q plain
planned () { "$SHOAL" status --json drawn | grep -q '"shards":12'; }
wait_for "the other is planned" planned
expect_exit 0 "but nobody runs it" "$SHOAL" status drawn
expect_stdout 'trouble +no worker has served queue gpu so far'
address=$(sed -n 's/.*event=listening address=\([^ ]*\).*/\1/p' merger.err)
shown () { curl -sf "http://$address/metrics" >metrics && grep -q "^shoal_shards{queue=\"gpu\",state=\"queued\"} $1\$" metrics; }
wait_for "which autoscalers see" shown 12
expect_same "of that queue alone" 'shoal_shards{queue="default",state="queued"} 0' "$(grep '^shoal_shards{queue="default",state="queued"}' metrics)"

part both worker --queue gpu --queue default --lease 2s
expect_exit 0 "who serves it runs it" "$SHOAL" watch -q drawn
expect_same "all of it" 12 "$(grep -c 'event=shard_done .*job=drawn ' both.err)"
expect_same "and the other nothing" 0 "$(grep -c 'job=drawn ' plain.err)"
expect_same "the output" 12 "$(wc -l <drawn/stdout)"
wait_for "and autoscalers see none" shown 0

kill -9 "${pids[3]}"
expect_exit 0 "another job in it" submit late --queue gpu
silent () { "$SHOAL" status late | grep -q 'trouble  *no worker serves queue gpu since 20..-..-.. ..:..:.. UTC'; }
wait_for "whose workers are gone" silent
