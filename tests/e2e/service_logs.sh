#!/bin/bash
# What services log without being asked: a start line, where they listen, a line a shard; levels, JSON; and a bus that isn't set up yet.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
unset SHOAL_LOG SHOAL_LOG_FORMAT
make_files in 2
logged () { grep -qE -- "$2" "$1.err"; } # LOG REGEX
submit () { # ID
  "$SHOAL" submit --id "$1" -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/$1" x true >/dev/null
}
version=$("$SHOAL" --version | cut -d' ' -f2)
export SHOAL_BUS=sqlite:$PWD/bus.db
start_service producer producer --listen :0
start_service merger merger --log-format json
start_service worker worker --jobs 1 --queue gpu --queue default
submit one
expect_exit 0 "a job" timeout 60 "$SHOAL" watch -q one
for name in producer worker; do
  expect_true "$name says at the start what it is" logged $name "level=info event=service_started service=$name version=$version pid=[0-9]+ bus=\"sqlite:$PWD/bus.db\""
done
expect_true "and a worker which queues it serves" logged worker 'event=service_started .* queues=gpu,default$'
expect_true "where it listens" logged producer 'event=listening address=127.0.0.1:[0-9]+ note="loopback only; '
expect_same "a line for each shard's end" 2 "$(grep -c event=shard_done worker.err)"
start_service quiet worker --jobs 1 --log-level warn --max-shards 1
kill "${pids[2]}"
submit again
expect_end 0 "a worker that was told to be quiet" $last
expect_same "is" "" "$(cat quiet.err)"
expect_same "JSON is JSON, line by line" "service_started merger $version" "$(python3 -c '
import json, sys
lines = [json.loads(line) for line in open("merger.err")]
print(lines[0]["event"], lines[0]["service"], lines[0]["version"])')"
expect_exit 2 "a level that isn't one" "$SHOAL" worker --log-level loud
expect_stderr '--log-level: "loud" is none of debug, info, warn, error'
expect_exit 2 "a format that isn't one" "$SHOAL" worker --log-format xml
expect_stderr '--log-format: "xml" is none of logfmt, json'
expect_exit 2 "one of the environment" env SHOAL_LOG=loud "$SHOAL" worker
expect_stderr 'SHOAL_LOG: "loud" is none of'
expect_exit 2 "and a format" env SHOAL_LOG_FORMAT=xml "$SHOAL" worker
expect_stderr 'SHOAL_LOG_FORMAT: "xml" is none of'
expect_exit 0 "run stays silent" "$SHOAL" run -q -v in:/in --glob '*.txt' --runtime process --results alone x true
expect_same "on stderr" "" "$(cat "$E2E_WORK/err")"

# ---- no topics yet
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/logs-$$-$RANDOM
start_service waits.producer producer
start_service waits.merger merger
start_service waits.worker worker --jobs 1 --listen 127.0.0.1:0
for name in producer merger worker; do
  wait_for "$name to wait" logged waits.$name "level=warn event=waiting_for_topics reason=\".*no topic .*create the topics with .shoal topics create --bus $SHOAL_BUS"
done
expect_same "once, for now" 1 "$(grep -c waiting_for_topics waits.worker.err)"
address=$(sed -n 's/.*event=listening address=\([^ ]*\).*/\1/p' waits.worker.err)
expect_same "it isn't ready" 503 "$(curl -s -o /dev/null -w '%{http_code}' "http://$address/readyz")"
expect_same "but alive" 200 "$(curl -s -o /dev/null -w '%{http_code}' "http://$address/healthz")"
start_service stopped worker --jobs 1
wait_for "another one to wait" logged stopped waiting_for_topics
kill $last
expect_end 0 "SIGTERM ends the waiting" $last
expect_exit 0 "the topics come" "$SHOAL" topics create --partitions 2
submit two
expect_exit 0 "and they work" timeout 60 "$SHOAL" watch -q two
expect_exit 2 "a queue that the bus hasn't got is an error at once" "$SHOAL" worker --queue gpu
expect_stderr "no topic .*shards.gpu"
