#!/bin/bash
# What autoscalers read: after a merger's kill -9 the next one shows no number until it knows it, and never 0 in mid-job.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 6
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/backlog-$$-$RANDOM
series () { curl -sf "http://$address/metrics" | sed -n 's/^shoal_shards{queue="default",state="queued"} //p'; }
merger () { # LOG: starts one, with its address in $address
  start_service "$1" merger --listen 127.0.0.1:0 --lease 4s
  wait_for "the merger to listen" grep -q event=listening "$1.err"
  address=$(sed -n 's/.*event=listening address=\([^ ]*\).*/\1/p' "$1.err")
}
shows () { [ "$(series)" = "$1" ]; }

expect_exit 0 "topics" "$SHOAL" topics create --partitions 2
start_service producer producer
merger first
wait_for "a merger that has read its events shows that there is nothing" shows 0
expect_exit 0 "a job that nobody runs" "$SHOAL" submit --id job -v "$PWD/in:/in" --glob '*.txt' --runtime process --results "$PWD/job" x true
wait_for "its shards to be seen" shows 6
kill -9 $last
merger second
seen=
until value=$(series) || true; [ "$value" = 6 ] || [ "$SECONDS" -ge 60 ]; do
  seen+="$value "
  read -rt 0.1 <> <(:) || true
done
expect_true "the next merger was looked at while it waited for the lease" test "${#seen}" -ge 5
expect_same "it shows what there is, and nothing before" "6 after " "$value after $(tr -d ' ' <<<"$seen")"
start_service worker worker --jobs 1
expect_exit 0 "the job runs" timeout 60 "$SHOAL" watch -q job
wait_for "and then there is nothing left" shows 0
