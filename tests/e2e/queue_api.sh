#!/bin/bash
# What an autoscaler asks a producer: one number a queue for the whole fleet, the same from each producer; 503 until it is known and while the bus is
# away, right without a worker and after kill -9, and never a false 0.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
dev=$E2E_LIB/../../deploy/kafka/dev.sh
at_end 'bash "$dev" clean --dir "$E2E_WORK/kafka" >/dev/null 2>&1 || true'
make_files in 6
export SHOAL_TOKEN=correct-horse-battery-staple
printf '{"inputs": ["%s"], "results": ["%s"], "runtimes": ["process"], "tokens": [{"name": "team", "sha256": "%s", "queues": ["gpu"]}]}' \
  "$(pwd -P)" "$(pwd -P)" "$(printf %s team-a-has-a-long-token | sha256sum | cut -d' ' -f1)" >policy.json
export SHOAL_POLICY=$PWD/policy.json

producer () { # LOG: starts one, with its address in $address
  start_service "$1" producer --listen 127.0.0.1:0 --lease 4s
  wait_for "$1 listens" grep -q event=listening "$1.err"
  address=$(sed -n 's/.*event=listening address=\([^ ]*\).*/\1/p' "$1.err")
}
ask () { # PATH [CURL-OPTION…]: the code, then the body without its age
  curl -s -D headers -o body -w '%{http_code} ' -H "Authorization: Bearer $SHOAL_TOKEN" "${@:2}" "http://$address/v1/queues$1" || true
  sed 's/"oldest_seconds":[0-9]*,//g' body
}
says () { [ "$(ask "$1")" = "200 $2" ]; }
numbers () { # QUEUE WAITING RUNNING PLANNING [DESIRED]
  printf '{"queue":"%s","waiting":%d,"running":%d,"planning":%d,"desired":%d}' "$1" "$2" "$3" "$4" "${5:-$(($2 + $3 + $4))}"
}
submit () { # ID OPTION…
  "$SHOAL" submit --id "$1" -v "$PWD/in:/in" -o out:/out --glob '*.txt' --runtime process --results "$PWD/$1" "${@:2}"
}

# ---- a bus of one machine
export SHOAL_BUS=sqlite:$PWD/bus.db
producer local
expect_same "before anything was read it isn't known" 503 "$(ask /default | cut -d' ' -f1)"
expect_true "with the time to come again" grep -qi '^retry-after: 1' headers
wait_for "a queue that had no job has nothing" says /default "$(numbers default 0 0 0)"
expect_same "a queue that there isn't" 404 "$(ask /nope | cut -d' ' -f1)"
expect_same "without the token" 401 "$(curl -s -o body -w '%{http_code}' "http://$address/v1/queues")"
submit here x true >said
wait_for "a job without a worker waits" says /default "$(numbers default 6 0 0)"
kill $last
expect_end 0 "SIGTERM ends it" $last

# ---- a fleet
bash "$dev" start --dir "$E2E_WORK/kafka" >exports 2>said || { cat said; exit 1; }
. ./exports
SHOAL_BUS+=/queues
export SHOAL_BUS
expect_exit 0 "topics" "$SHOAL" topics create --partitions 2 --queue gpu
expect_exit 0 "a job that nobody plans yet" submit first x sh -c "until [ -e $PWD/go ]; do sleep 0.1; done"
producer one
one=$last
first=$address
wait_for "the queues are those with topics" says "" '{"queues":['"$(numbers default 6 0 0),$(numbers gpu 0 0 0)"']}'
expect_true "the age is told" grep -qE '"oldest_seconds":[0-9]+' body
expect_same "in workers of four slots" "200 $(numbers default 6 0 0 2)" "$(ask '/default?slots=4')"
expect_same "of none" 422 "$(ask '/default?slots=0' | cut -d' ' -f1)"
expect_same "a team sees its own queue" "200 {\"queues\":[$(numbers gpu 0 0 0)]}" "$(SHOAL_TOKEN=team-a-has-a-long-token ask "")"
expect_same "and no other" 404 "$(SHOAL_TOKEN=team-a-has-a-long-token ask /default | cut -d' ' -f1)"
start_service merger merger --lease 4s
merger=$last
start_service worker worker --jobs 2 --lease 4s
worker=$last
wait_for "two run" says /default "$(numbers default 4 2 0)"
kill -9 "$merger"
expect_same "a merger's end changes nothing" "200 $(numbers default 4 2 0)" "$(ask /default)"
producer two
wait_for "another producer says the same" says /default "$(numbers default 4 2 0)"
kill -9 "$one"
producer three
seen=
while answer=$(ask /default); [ "$answer" != "200 $(numbers default 4 2 0)" ] && [ $SECONDS -lt 120 ]; do seen+=" ${answer%% *}"; done
expect_same "one that follows a dead one said nothing before it knew" 503 "$(tr ' ' '\n' <<<"$seen" | sort -u | xargs)"

# ---- the bus is away
bash "$dev" pause 1 --dir "$E2E_WORK/kafka" >said 2>&1
away () { [ "$(ask /default | cut -d' ' -f1)" = 503 ]; }
wait_for "brokers that don't answer: it isn't known" away
expect_true "and why" grep -q '"error": "..*"' body
bash "$dev" cont 1 --dir "$E2E_WORK/kafka" >said 2>&1
wait_for "they answer again: it is" says /default "$(numbers default 4 2 0)"

# ---- to the end
start_service merger-2 merger --lease 4s
touch go
expect_exit 0 "the job runs" timeout 60 "$SHOAL" watch -q first
wait_for "and nothing is left" says /default "$(numbers default 0 0 0)"
expect_exit 0 "a cancelled job" submit second --queue gpu x true
wait_for "waits" says /gpu "$(numbers gpu 6 0 0)"
expect_exit 0 "is cancelled" "$SHOAL" cancel second
wait_for "and doesn't wait any more" says /gpu "$(numbers gpu 0 0 0)"
kill "$worker"
expect_end 0 "without a worker" "$worker"
start_service retry retry first --shard 1-2
wait_for "two shards that are to run again wait" says /default "$(numbers default 2 0 0)"
producer four
wait_for "who begins to read now" eval '! away'
expect_same "says the same" "200 $(numbers default 2 0 0)" "$(ask /default)"
