#!/bin/bash
# A bus that doesn't answer: services wait and say so, live, aren't ready, and end when they are told to; commands give up in time.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
bus=kafka://127.0.0.1:1/x
token=correct-horse-battery-staple
export SHOAL_TOKEN=$token
code_of () { curl -s -o body -D headers -w '%{http_code}' "$@" || true; }

for name in producer worker merger; do
  SHOAL_LOG=info "$SHOAL" "$name" --bus $bus --listen 127.0.0.1:0 >"$name.out" 2>"$name.err" &
  pids+=($!)
done
for i in 0 1 2; do
  name=$(sed -n $((i + 1))p <<<$'producer\nworker\nmerger')
  wait_for "$name says what it waits for" grep -q 'event=kafka_unavailable.*127.0.0.1:1' "$name.err"
  http=http://$(sed -n 's/.*event=listening address=//p' "$name.err")
  expect_same "$name is alive" 200 "$(code_of "$http/healthz")"
  expect_same "$name isn't ready" 503 "$(code_of "$http/readyz")"
  if [ $name = producer ]; then
    expect_same "jobs can't be taken" 503 \
      "$(code_of -H "Authorization: Bearer $token" -d '{"image": "x", "runtime": "process", "command": ["true"]}' "$http/v1/jobs")"
    expect_true "it says when to come again" grep -qi '^retry-after: 1' headers
    expect_true "and why" grep -q 'brokers: timed out' body
  fi
  kill "${pids[i]}"
  expect_end 0 "$name ends when it is told to" "${pids[i]}"
done
expect_exit 3 "a command gives up" "$SHOAL" list --bus $bus --connect-timeout 300ms
expect_stderr '127.0.0.1:1'
expect_one_line
