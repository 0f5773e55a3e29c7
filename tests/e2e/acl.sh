#!/bin/bash
# A fleet under exactly the ACLs of docs/operations.md on a broker with an authoriser, a user for each part: all of it works; each grant is needed, and
# named at the start where it is missing; nobody can do what isn't his part's; what is taken away in the middle is named, too.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
dev=$E2E_LIB/../../deploy/kafka/dev.sh
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null
  bash "$dev" clean --dir "$E2E_WORK/kafka" >/dev/null 2>&1 || true'
make_files in 4
bash "$dev" start --acl --dir "$E2E_WORK/kafka" >exports 2>said || { cat said; exit 1; }
. ./exports
prefix=acl
admins=${SHOAL_BUS_ADMIN#kafka://}/$prefix
place=${SHOAL_BUS#kafka://}/$prefix
export SHOAL_BUS=kafka://$place
user () { # USER COMMAND…
  SHOAL_KAFKA_CONFIG=$E2E_WORK/kafka/client-$1.properties "${@:2}"
}
acl () { (unset SHOAL_KAFKA_CONFIG; "$E2E_PYTHON" "$E2E_LIB/acl.py" "$@"); }
upstream () { # USER ACTION ARGUMENT…
  user "$1" "$E2E_PYTHON" "$E2E_LIB/upstream.py" "$2" "$place" "${@:3}"
}

# ---- the table is what is granted
acl parts >parts
expect_same "all parts have a user" "$(sort parts | paste -sd ' ')" \
  "$(for part in $(sed -n 's/^ACL_USERS="\(.*\)".*/\1/p' "$E2E_LIB/../../deploy/kafka/secure.sh"); do echo "$part"; done | sort | paste -sd ' ')"
while read -r part; do
  acl grants "$part" >"$part.grants"
  expect_true "$part has grants" test -s "$part.grants"
done <parts

# ---- topics: without any of its grants
topics_fail () { # OPERATION COMMAND…
  expect_exit "$2" "topics without $1" user topics "$SHOAL" topics "${@:3}"
  expect_stderr "user topics lacks permission: $1 on topic acl\.[a-z.]+ \(\`kafka-acls.sh --add --allow-principal User:topics --operation $1 "
}
topics_fail Create 3 create --partitions 2
acl allow "$admins" topics <topics.grants
expect_exit 0 "topics are made" user topics "$SHOAL" topics create --partitions 2 --queue gpu
without () { # USER GRANT COMMAND…
  local who=$1 grant=$2
  shift 2
  echo "$grant" | acl forbid "$admins" "$who"
  "$@"
  echo "$grant" | acl allow "$admins" "$who"
}
refused_growth () { # the controller hears of what is taken away a moment later
  partitions=$((partitions + 1))
  ! user topics "$SHOAL" topics create --partitions $partitions >"$E2E_WORK/out" 2>"$E2E_WORK/err"
}
partitions=2
without topics "topic * Alter" wait_for "topics without Alter" refused_growth
expect_stderr "user topics lacks permission: Alter on topic acl\.[a-z.]+ "
without topics "topic * DescribeConfigs" topics_fail DescribeConfigs 3 check
# Alter and DescribeConfigs include Describe: it is needed where neither is.
expect_exit 0 "topics are right" user topics "$SHOAL" topics check

# ---- who has nothing is told what is missing
for part in producer worker merger; do
  SHOAL_LOG=error expect_exit 2 "a $part without anything" user $part "$SHOAL" $part
  expect_one_line
  expect_stderr "user $part lacks permission: Describe on topic acl\.jobs "
done
while read -r part; do
  [ "$part" = topics ] || acl allow "$admins" "$part" <"$part.grants"
done <parts

# ---- all of it works
openssl rand -hex 16 >token
start () { # NAME USER COMMAND…
  SHOAL_LOG=info SHOAL_KAFKA_CONFIG=$E2E_WORK/kafka/client-$2.properties "$SHOAL" "${@:3}" --listen 127.0.0.1:0 >"$1.out" 2>"$1.err" &
  pids+=($!)
  wait_for "the $1" grep -q event=listening "$1.err"
}
start_fleet () {
  start producer api producer --token-file token
  start worker worker worker
  start merger merger merger
}
stop_fleet () {
  local pid
  kill "${pids[@]}"
  for pid in "${pids[@]}"; do expect_end 0 "SIGTERM ends it" "$pid"; done
  pids=()
}
job () { # ID [FIELDS]
  echo '{"id": "'"$1"'", "results": "'"$PWD/$1"'", "image": "x", "runtime": "process", "glob": "*.txt", "batch_size": 2,
    "command": ["sh", "-c", "cat in/*"], "volumes": [{"source": "'"$PWD"'/in", "path": "/in"}]'"${2:-}"'}'
}
submit () { # ID OPTION…
  user submit "$SHOAL" submit --id "$1" -v "$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 2 --runtime process --results "$PWD/$1" "${@:2}"
}
address () { sed -n 's/.*event=listening address=//p' "$1.err" | tr -d '"'; }
start_fleet
expect_exit 0 "a job" submit one x sh -c 'cp in/* out; cat in/*'
expect_exit 0 "is watched" user reader "$SHOAL" watch -q one
expect_same "its output" "1 2 3 4" "$(paste -sd ' ' one/stdout)"
upstream upstream submit "$(job theirs)"
expect_exit 0 "an upstream's" upstream upstream follow theirs
expect_exit 0 "one with a reduce container" submit sum --reduce x --reduce-command 'sh -c "ls shards"' x true
expect_exit 0 "is watched" user reader "$SHOAL" watch -q sum
curl -sS -H "Authorization: Bearer $(<token)" "http://$(address producer)/v1/jobs" --data '{"id": "http", "image": "x", "runtime": "process",
  "command": ["sleep", "600"], "results": "'"$PWD"'/http"}' >body
expect_same "one by HTTP" http "$(json job <body)"
wait_for "runs" eval '[ "$(user reader "$SHOAL" status --json http | json state)" = running ]'
expect_same "and is cancelled" 202 "$(curl -sS -o body -w '%{http_code}' -X DELETE -H "Authorization: Bearer $(<token)" "http://$(address producer)/v1/jobs/http")"
wait_for "by HTTP" eval '[ "$(user reader "$SHOAL" status --json http | json state)" = cancelled ]'
for i in {1..11}; do
  upstream upstream submit "$(job "fails$i" ', "retries": 0' | sed "s|cat in/\*|test -e $PWD/mend|")"
  submit "waits$i" --queue gpu x true >/dev/null
done
for i in {1..11}; do user reader "$SHOAL" watch -q "fails$i" 2>/dev/null || true; done
expect_exit 0 "one that nobody runs" user reader "$SHOAL" status waits11
expect_stdout 'no worker has served queue gpu so far'
touch mend
expect_exit 0 "run again" user control "$SHOAL" retry fails11
expect_exit 0 "to its end" user reader "$SHOAL" watch -q fails11
expect_exit 0 "cancelled" user control "$SHOAL" cancel waits11
for command in list 'status one' 'logs one' 'report one' 'get one copy'; do
  # shellcheck disable=SC2086
  expect_exit 0 "reader: $command" user reader "$SHOAL" $command
done
upstream upstream garbage jobs junk
wait_for "a letter" eval 'user dead "$SHOAL" dead list | grep -q undecodable'
letter=$(user dead "$SHOAL" dead list | sed -n 's/^\([^\t]*\.jobs[^\t]*\)\tundecodable.*/\1/p')
expect_exit 0 "is sent again" user dead "$SHOAL" dead replay "$letter"
expect_true "no refusal in any log" eval '! grep -E "denied|lacks|allowed|uthorization" *.err'

# ---- what is taken away in the middle
echo "topic dead Write" | acl forbid "$admins" api
upstream upstream garbage jobs "more junk"
wait_for "letters that are refused are tried again" grep -q 'event=dead_letter_write_failed .*TOPIC_AUTHORIZATION_FAILED' producer.err
sleep 6 # until they are read and written once more
expect_exit 0 "meanwhile a job" submit meanwhile x sh -c 'cat in/*'
expect_exit 0 "is planned, and runs" user reader "$SHOAL" watch -q meanwhile
echo "topic dead Write" | acl allow "$admins" api
wait_for "the letter comes in the end" eval '[ "$(user dead "$SHOAL" dead list | grep -c undecodable)" -ge 2 ]'
echo "topic events Write" | acl forbid "$admins" worker
expect_exit 0 "a job whose ends can't be told" submit untold x sh -c 'cat in/*'
sleep 3
expect_same "goes on" running "$(user reader "$SHOAL" status --json untold | json state)"
echo "topic events Write" | acl allow "$admins" worker
expect_exit 0 "when they can" user reader "$SHOAL" watch -q untold
expect_same "once" "1 2 3 4" "$(paste -sd ' ' untold/stdout)"
stop_fleet

# ---- each grant of each part is needed, and missed at the start
missed () { # PART GRANT COMMAND…: says which, whatever it is
  local kind name operation
  read -r kind name operation <<<"$2"
  [ "$name" != '*' ] || name='[a-z]+'
  name=${name/%\*/}
  expect_stderr "user $1 lacks permission: $operation on $kind acl\.$name \(\`kafka-acls.sh --add --allow-principal User:$1 --operation $operation --$kind acl\.$name\`"
}
service_needs () { # PART GRANT COMMAND…
  expect_exit 2 "a $1 without $2" timeout 60 env SHOAL_LOG=error SHOAL_KAFKA_CONFIG="$E2E_WORK/kafka/client-$1.properties" "$SHOAL" "${@:3}"
  expect_one_line
  missed "$1" "$2"
}
for part in producer api worker merger; do
  command=($part)
  [ $part != api ] || command=(producer --listen 127.0.0.1:0 --token-file token)
  while read -r grant; do
    # What is read or written is seen as well: Describe on all is for the others.
    [ "$grant" != "topic * Describe" ] || [ $part != worker ] || continue
    without $part "$grant" service_needs $part "$grant" "${command[@]}"
  done <$part.grants
done

# Commands: the first of several that needs it says so.
command_needs () { # USER GRANT COMMAND…, each one word
  local command code=0
  for command in "${@:3}"; do
    code=0
    # shellcheck disable=SC2086
    SHOAL_KAFKA_CONFIG=$E2E_WORK/kafka/client-$1.properties timeout 60 "$SHOAL" $command >"$E2E_WORK/out" 2>"$E2E_WORK/err" </dev/null || code=$?
    ! grep -q "lacks permission" "$E2E_WORK/err" || break
  done
  # What was set of jobs is left out, in words.
  [ "$1 $2" = "reader topic control Read" ] \
    || expect_true "$1 without $2 ends with 3 or 2: $code" test $code -eq 3 -o $code -eq 2
  missed "$1" "$2"
}
n=0
while read -r grant; do
  n=$((n + 1))
  without submit "$grant" command_needs submit "$grant" "submit --id new$n --runtime process x true"
done <submit.grants
while read -r grant; do
  without reader "$grant" command_needs reader "$grant" list "status --shards one" "status waits1" "logs one"
done <reader.grants
n=0
while read -r grant; do
  n=$((n + 1))
  without control "$grant" command_needs control "$grant" "retry fails$n" "cancel waits$n"
done < <(grep -v 'Describe$' control.grants)
letter=$(user dead "$SHOAL" dead list | sed -n 's/^\([^\t]*\.jobs[^\t]*\)\tundecodable.*/\1/p' | head -1) # not the one that was sent again
while read -r grant; do
  without dead "$grant" command_needs dead "$grant" "dead list" "dead replay $letter"
done < <(grep -E ' (dead|jobs) ' dead.grants)

# ---- nobody has more than that
while read -r who topics; do
  for topic in $topics; do
    if upstream "$who" garbage "$topic" "not mine" >"$E2E_WORK/out" 2>"$E2E_WORK/err"; then fail "$who writes $topic"; else
      expect_stderr 'TOPIC_AUTHORIZATION_FAILED'
    fi
  done
done <<'END'
worker jobs control status
producer jobs claims control status
merger jobs claims
submit shards claims leases events control status dead
upstream shards claims leases events control status dead
reader jobs shards claims leases events control status dead
control jobs claims leases dead
END
