#!/bin/bash
# Queues of a fleet: whose workers run what, and what is said where nobody does.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 12
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/q-$$-$RANDOM

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
expect_stdout 'shards.gpu: created, 3 partitions'
expect_exit 0 "is seen without being named" "$SHOAL" topics describe
expect_stdout 'claims.gpu: 3 partitions'

start_service producer producer
start_service merger merger --listen 127.0.0.1:0
start_service plain worker
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

start_service both worker --queue gpu --queue default --lease 2s
expect_exit 0 "who serves it runs it" "$SHOAL" watch -q drawn
expect_same "all of it" 12 "$(grep -c 'event=shard_done .*job=drawn ' both.err)"
expect_same "and the other nothing" 0 "$(grep -c 'job=drawn ' plain.err)"
expect_same "the output" 12 "$(wc -l <drawn/stdout)"
wait_for "and autoscalers see none" shown 0

kill -9 "${pids[3]}"
expect_exit 0 "another job in it" submit late --queue gpu
silent () { "$SHOAL" status late | grep -q 'trouble  *no worker has served queue gpu since 20..-..-.. ..:..:.. UTC'; }
wait_for "whose workers are gone" silent

# ---- a worker that hasn't got the image
use_images busybox
SHOAL_IMAGES=$PWD/none start_service poor worker --queue gpu --backoff 100ms
expect_exit 0 "a job in containers" "$SHOAL" submit --id boxed --queue gpu -v "$PWD/in:/in" --glob '*.txt' --retries 0 \
  --results "$PWD/boxed" busybox sh -c 'cat /in/*'
wait_for "a worker without its image fails at it" grep -q 'event=shard_done job=boxed .*outcome=infra .*final=false' poor.err
start_service rich worker --queue gpu --listen 127.0.0.1:0
expect_exit 0 "and leaves it to one that has it" "$SHOAL" watch -q boxed
expect_same "all of it" 12 "$(wc -l <boxed/stdout)"
expect_same "no shard failed for good" 0 "$(grep -c 'job=boxed .*final=true' poor.err)"

# ---- what is counted
expect_exit 0 "a job that fails" "$SHOAL" submit --id sour --queue gpu -v "$PWD/in:/in" --glob '*.txt' --batch-size 4 --retries 0 \
  --results "$PWD/sour" busybox false
expect_exit 1 "fails" "$SHOAL" watch -q sour
of_rich () { curl -sf "http://$(sed -n 's/.*event=listening address=\([^ ]*\).*/\1/p' rich.err)/metrics" >metrics && grep -qE "$1" metrics; }
published () { kcat -Q -b "$SHOAL_TEST_KAFKA" $(for i in 0 1 2; do echo -t "${SHOAL_BUS##*/}.shards.gpu:$i:-1"; done) | sed 's/.*offset //' | paste -sd+; }
settled () { sed -n 's/^shoal_committed_offset{topic="[^"]*shards.gpu",partition="."} //p' metrics | paste -sd+; }
all_settled () { # every message of the queue is settled, as far as the metrics are up to date
  of_rich '^shoal_consumer_lag\{topic="[^"]*\.shards\.gpu",partition="0"\} 0$' && ! grep -E '^shoal_(consumer_lag|partition_incomplete)\{' metrics | grep -vq ' 0$' \
    && [ $(($(settled))) = $(($(published))) ]
}
wait_for "what was settled in all three partitions is told" all_settled
letters=$(grep -h '^shoal_dead_letters_total{reason="failed"}' metrics | sed 's/.* //')
ran=$(grep -c 'job=sour .*outcome=failed' rich.err)
expect_same "its dead letters" "$ran" "${letters:-0}"
taken=$(sed -n 's/^shoal_schedule_to_start_seconds_count //p' metrics)
expect_same "how long shards waited" "$(grep -c 'event=shard_started' rich.err)" "$taken"
curl -sf "http://$address/metrics" >metrics
expect_same "how long merges took" "$(grep -c 'event=job_done' merger.err)" "$(sed -n 's/^shoal_merge_seconds_count //p' metrics)"

# ---- the status topic isn't flooded
make_files many 300
began=$SECONDS
expect_exit 0 "a job of many short shards" "$SHOAL" submit --id many --queue gpu -v "$PWD/many:/in" --glob '*.txt' --runtime process --results "$PWD/many-result" x true
expect_exit 0 "runs" "$SHOAL" watch -q many
most=$((5 * (SECONDS - began + 1) + 5)) # a few times a second, and at the end
told=$(kcat -C -e -q -b "$SHOAL_TEST_KAFKA" -t "${SHOAL_BUS##*/}.status" -f '%k\n' | grep -cx many)
expect_true "$told statuses, at most $most" [ "$told" -ge 2 -a "$told" -le "$most" ]

# ---- a second merger with other settings
start_service other merger --keep-attempts --lease 20s
wait_for "says so" grep -q 'event=config_mismatch group=merger member="merger-.*theirs=.*keep-attempts=no.*ours=.*lease=20000ms keep-attempts=yes' other.err
start_service same merger --keep-attempts --lease 20s
wait_for "once for each that differs" eval '[ "$(grep -c event=config_mismatch same.err)" -eq 1 ]'

# ---- a worker with another policy
e2e_policy odd.json "$PWD/elsewhere"
start_service odd worker --queue gpu --policy odd.json
wait_for "the others say so" eval 'grep -l "event=config_mismatch writer=\"worker-" *.err | grep -v odd.err'
theirs=$("$SHOAL" policy check odd.json | sed -n 's/^digest *//p')
ours=$("$SHOAL" policy check "$SHOAL_POLICY" | sed -n 's/^digest *//p')
expect_true "with both digests" eval 'grep -h "event=config_mismatch" *.err | grep -q "theirs=\"$theirs\" ours=\"$ours\""'
