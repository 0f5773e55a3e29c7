#!/bin/bash
# A webhook is told how its job ended: signed, again until it is heard, also when the merger that should have told it was killed.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 4
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
secret=whispered-$RANDOM
mkdir hook
echo 200 >hook/answer
: >hook/deliveries
/usr/bin/python3 -B "$E2E_LIB/receiver.py" hook "$secret" &
pids+=($!)
wait_for "the receiver" test -f hook/port
url=http://127.0.0.1:$(cat hook/port)
export SHOAL_WEBHOOK_SECRET=$secret

deliveries () { grep -c "\"path\": \"$1\"" hook/deliveries || true; }
field () { grep "\"path\": \"$1\"" hook/deliveries | tail -n 1 | json "$2"; }
job=(-v "$PWD/in:/in" --glob '*.txt' --runtime process)

# ---- on this machine
expect_exit 0 "a run tells" "$SHOAL" run -q "${job[@]}" --id here --webhook "$url/here" --results here x true
expect_same "once" 1 "$(deliveries /here)"
expect_same "signed with the merger's secret" True "$(field /here signed)"
expect_same "as JSON" '"application/json"' "\"$(field /here type)\""
expect_same "which generation it was" here/1 "$(field /here delivery)"
body=$(grep '"path": "/here"' hook/deliveries | /usr/bin/python3 -c 'import json, sys; b = json.loads(sys.stdin.read())["body"]; print(b["job"], b["state"], b["shards"], b["succeeded"], b["failed"], b["result"])')
expect_same "what there is to know" "here succeeded 4 4 0 $PWD/here" "$body"
expect_exit 1 "a failed one too" "$SHOAL" run -q "${job[@]}" --retries 0 --webhook "$url/failed" --results failed x false
expect_same "is told as such" failed "$(grep '"path": "/failed"' hook/deliveries | /usr/bin/python3 -c 'import json, sys; print(json.loads(sys.stdin.read())["body"]["state"])')"
echo "503 0 200" >hook/answer
expect_exit 0 "who doesn't listen" "$SHOAL" run -q "${job[@]}" --webhook "$url/busy" --results busy x true
expect_same "is told again" 3 "$(deliveries /busy)"
echo 404 >hook/answer
expect_exit 0 "who isn't there" "$SHOAL" run -q "${job[@]}" --webhook "$url/gone?token=s3same" --results gone x true
expect_same "is left alone" 1 "$(deliveries '/gone?token=s3same')"
echo 302 >hook/answer
expect_exit 0 "who sends us elsewhere" "$SHOAL" run -q "${job[@]}" --webhook "$url/moved" --results moved x true
expect_same "isn't followed" 0 "$(deliveries /elsewhere)"
expect_exit 2 "no URL" "$SHOAL" run -q "${job[@]}" --webhook ftp://host/ --results none x true
expect_stderr '"ftp://host/": expected http://HOST'
expect_exit 2 "a password in it" "$SHOAL" run -q "${job[@]}" --webhook http://me:sesame@host/ --results none x true
expect_stderr 'a webhook.s URL can.t have a password'
expect_same "which isn't repeated" 0 "$(grep -c sesame "$E2E_WORK/err")"

# ---- on a fleet, the merger killed between the result and the telling
export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/hook-$$-$RANDOM
expect_exit 0 "topics" "$SHOAL" topics create --partitions 2
merger () { SHOAL_LOG=info "$SHOAL" merger --lease 1s "${allowed[@]}" 2>>merger.err & pids+=($!); merger=$!; }
allowed=()
for part in producer worker; do
  "$SHOAL" $part 2>"$part.err" &
  pids+=($!)
done
merger
webhook_of () { "$SHOAL" status --json "$1" | json webhook; }
number=0
for host in 127.0.0.1 localhost 0x7f000001 10.1.2.3 169.254.169.254 '[::1]' '[::ffff:127.0.0.1]' '[fd00:ec2::254]'; do
  number=$((number + 1))
  expect_exit 0 "a job that names $host" "$SHOAL" submit "${job[@]}" --id "inside$number" --webhook "${url/127.0.0.1/$host}/inside" --results "$PWD/inside$number" x true
  refused () { [[ "$(webhook_of "inside$number")" = "given up: "*"webhook addresses must be public (merger --webhook-private allows others)" ]]; }
  wait_for "is told why it isn't told" refused
done
expect_same "nobody was asked" 0 "$(deliveries /inside)"
kill $merger
expect_end 0 "SIGTERM ends a merger" $merger
allowed=(--webhook-private)
merger
echo 503 >hook/answer
expect_exit 0 "a job" "$SHOAL" submit "${job[@]}" --id told --webhook "$url/told?token=s3same" --results "$PWD/told" x true
expect_exit 0 "ends, told or not" "$SHOAL" watch -q told
wait_for "the first try" eval '[ "$(deliveries "/told?token=s3same")" -ge 1 ]'
webhook () { "$SHOAL" status --json told | json webhook; }
expect_same "it is to be told" pending "$(webhook)"
kill -9 $merger
wait $merger 2>/dev/null || true
echo 200 >hook/answer
merger
heard () { [ "$(webhook)" = delivered ]; }
wait_for "the next merger tells" heard
expect_same "the same thing" told/1 "$(field '/told?token=s3same' delivery)"
count=$(deliveries '/told?token=s3same')
kill $merger
expect_end 0 "SIGTERM ends a merger" $merger
merger
expect_exit 0 "another job" "$SHOAL" submit "${job[@]}" --id later --webhook "$url/later" --results "$PWD/later" x true
wait_for "is told" eval '[ "$(deliveries /later)" = 1 ]'
expect_same "and what was heard isn't told again" "$count" "$(deliveries '/told?token=s3same')"
echo 410 >hook/answer
expect_exit 0 "a job whose receiver is gone" "$SHOAL" submit "${job[@]}" --id unheard --webhook "$url/unheard" --results "$PWD/unheard" x true
given_up () { [ "$("$SHOAL" status --json unheard | json webhook)" = "given up: HTTP 410" ]; }
wait_for "says so" given_up
expect_same "no token of a URL in a log, no secret" 0 "$(cat ./*.err | grep -c "s3same\|$secret")"
