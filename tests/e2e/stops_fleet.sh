#!/bin/bash
# Planned stops of workers on Kafka: a worker that was told to end and is killed before its shard has ended says so before, and its loss isn't counted.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 1
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/stops-$$-$RANDOM
expect_exit 0 "topics" "$SHOAL" topics create --partitions 2
LEASE=5s

submit () { # ID
  "$SHOAL" submit --id "$1" -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/$1" x \
    sh -c "echo >>'$PWD/$1.began'; until [ -e '$PWD/$1.gate' ]; do sleep 0.05; done" >/dev/null
}
began () { [ "$(cat "$1.began" 2>/dev/null | wc -l)" -ge "$2" ]; } # ID COUNT
# Worker NUMBER takes the job's shard, which waits, and is killed; before, for a WITH of TERM, it is told to end.
lose_worker () { # ID NUMBER WITH
  start_service "$1-$2" worker --jobs 1 --lease $LEASE --drain-timeout unlimited
  wait_for "worker $2 to begin" began "$1" "$2"
  if [ "$3" = TERM ]; then
    kill -TERM $last
    wait_for "worker $2 to know" grep -q 'event=draining why=stopped' "$1-$2.err"
    wait_for "the brokers to know" said_leaving "$1" "$2"
  fi
  kill -9 $last
  wait $last 2>/dev/null || true
}
# How often the events say of the job's shard that its worker was told to end.
said_leaving () { # ID START
  "$SHOAL" topics tail events -n 10000 | python3 -c 'import json, sys
events = [json.loads(line)["value"] for line in sys.stdin]
sys.exit(not any(event["job_id"] == sys.argv[1] and event["starts"] == int(sys.argv[2]) and event["class_name"] == {"string": "leaving"} for event in events))' "$1" "$2"
}

start_service producer producer
start_service merger merger
submit planned
for i in 1 2 3 4; do lose_worker planned $i TERM; done
start_service saver worker --jobs 1 --lease $LEASE
wait_for "the shard to begin once more" began planned 5
touch planned.gate
expect_exit 0 "a shard survives four workers that were stopped and killed" timeout $E2E_SECONDS "$SHOAL" watch -q planned
expect_same "it was started five times" 5 "$(cat planned.began | wc -l)"
kill $last
expect_end 0 "SIGTERM ends an idle worker" $last

submit mixed
lose_worker mixed 1 KILL
lose_worker mixed 2 TERM
lose_worker mixed 3 KILL
start_service saver worker --jobs 1 --lease $LEASE
wait_for "the shard to begin once more" began mixed 4
touch mixed.gate
expect_exit 0 "two crashes and a stop are two losses" timeout $E2E_SECONDS "$SHOAL" watch -q mixed
kill $last
expect_end 0 "SIGTERM ends it" $last

submit crashed
for i in 1 2 3; do lose_worker crashed $i KILL; done
start_service fourth worker --jobs 1 --lease $LEASE
expect_exit 3 "one that killed three is given up" timeout $E2E_SECONDS "$SHOAL" watch -q crashed
expect_stderr 'worker_lost: 3 workers died'
kill $last
expect_end 0 "its fourth worker ends" $last
