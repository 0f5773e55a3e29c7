#!/bin/bash
# A broker that is away for longer than anybody waits, killed and then standing still: services say so, turn all the time, aren't ready, and end when they are told to;
# what ran goes on, and afterwards all is as if nothing had been.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
dev () { bash "$E2E_LIB/../../deploy/kafka/dev.sh" "$@" --dir "$E2E_WORK/kafka"; }
declare -A pid=()
at_end '[ ${#pid[@]} -eq 0 ] || kill -9 "${pid[@]}" 2>/dev/null || true; wait 2>/dev/null; dev clean >/dev/null'
eval "$(dev start)"
make_files in 4
names=(producer worker merger idle)

start () { # NAME COMMAND
  local slots=()
  [ "$2" != worker ] || slots=(--jobs 2)
  "$SHOAL" "$2" "${slots[@]}" --listen 127.0.0.1:0 --lease 3s >"$1.out" 2>>"$1.err" &
  pid[$1]=$!
}
stop () { # NAME
  kill "${pid[$1]}"
  expect_end 0 "$1 ends when it is told to" "${pid[$1]}"
  unset "pid[$1]"
}
code_of () { # NAME PATH
  curl -s -m 5 -o body -w '%{http_code}' "http://$(sed -n 's/.*event=listening address=//p' "$1.err" | tail -n 1)$2" || true
}
answers () { [ "$(code_of "$1" "$2")" = "$3" ]; }

# Probes all services until SECONDS are over; what isn't alive is written to `dead`.
probe_for () { # SECONDS
  local end=$((SECONDS + $1)) name
  while [ $SECONDS -lt $end ]; do
    for name in "${names[@]}"; do
      answers "$name" /healthz 200 || echo "$name after $((SECONDS - end + $1)) s: $(cat body)" >>dead
    done
    sleep 1
  done
}

export SHOAL_LOG=info
expect_exit 0 "topics" "$SHOAL" topics create --partitions 2
for way in kill pause; do
  : >dead
  for name in producer worker merger; do start $name $name; done
  rm -f go
  expect_exit 0 "a job" "$SHOAL" submit --id "job-$way" -v "$PWD/in:/in" --glob '*.txt' --batch-size 2 --runtime process \
    --results "$PWD/job-$way" x sh -c "mktemp $PWD/$way.XXXXXX >/dev/null; while [ ! -f $PWD/go ]; do sleep 0.1; done; cat in/*"
  wait_for "both shards run" eval "[ \$(ls | grep -c '^$way[.]') -eq 2 ]"
  start idle worker
  for name in "${names[@]}"; do wait_for "$name is ready" answers $name /readyz 200; done
  dev $way 1
  probe_for 75 # more than the minute after which a loop counts as hanging
  expect_same "$way: all turned all the time" "" "$(sort -u dead | head -n 5)"
  for name in "${names[@]}"; do
    wait_for "$name isn't ready" answers $name /readyz 503
    expect_true "$name says why" grep -q 'event=\(kafka_unavailable\|bus_error\|merger_retry\).*kafka://' $name.err
  done
  for name in producer merger idle; do stop $name; done
  touch go
  case $way in kill) dev restart 1 ;; pause) dev cont 1 ;; esac
  for name in producer merger; do start $name $name; done
  expect_exit 0 "the job ends" "$SHOAL" watch -q "job-$way"
  expect_same "whole" "1 2 3 4" "$(paste -sd ' ' "job-$way/stdout")"
  wait_for "the worker is ready again" answers worker /readyz 200
  for name in "${!pid[@]}"; do stop "$name"; done
done
