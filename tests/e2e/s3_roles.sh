#!/bin/bash
# Credentials for a while, by an instance's metadata and a container's agent: they end while a job runs, MinIO refuses them, and the job goes on with the next ones.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_s3
bucket=roles-$$-$RANDOM
user=roles$$$RANDOM
at_end 's3 remove "$bucket" || true; for name in "$user"-{1..4}; do s3 forget "$name" 2>/dev/null || true; done'
s3 make "$bucket"
make_files in 200
head -c 70000000 /dev/urandom >in/large.txt # four parts
s3 put in "s3://$bucket/in"

# Credentials of a user of their own, good for 15 minutes, as an agent tells of them; MINUTES: what it says of their end.
session () { # NUMBER MINUTES
  s3 user "$user-$1" testsecret
  local role
  role=$(AWS_ACCESS_KEY_ID=$user-$1 AWS_SECRET_ACCESS_KEY=testsecret s3 role --json)
  echo "${role%\}}, \"Code\": \"Success\", \"Expiration\": \"$(date -u -d "$2 minutes" +%FT%TZ)\"}" >session.new
  mv session.new session
}
session 1 60
: >asked
peer aws_metadata.py session asked
metadata=http://127.0.0.1:$port
asked () { grep -cE '^GET .*(worker|container) 200' asked || true; }
instance=(env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_EC2_METADATA_DISABLED "AWS_EC2_METADATA_SERVICE_ENDPOINT=$metadata" "HOME=$PWD/none")
container=(env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "AWS_CONTAINER_CREDENTIALS_FULL_URI=$metadata/container" AWS_CONTAINER_AUTHORIZATION_TOKEN=agent-token "HOME=$PWD/none")
job=(run --progress none --runtime process -v "s3://$bucket/in:/in" -o res:/out --glob '*.txt' --batch-size 1000)
all_of () { diff -r in "$1"; }

# ---- what ends soon is asked for again early, but not by each request
session 1 4
expect_exit 0 "an instance's role" "${instance[@]}" "$SHOAL" "${job[@]}" --results early none sh -c 'cp in/* out'
expect_true "… gets all there is" all_of early/outputs/res
expect_true "… a token first" grep -q '^PUT /latest/api/token 200' asked
expect_true "… and isn't asked at each of 200 requests, but $(asked) times" test "$(asked)" -lt 20

# ---- refused in the middle of a shard: what is asked for after that, and what was asked for before
for kind in instance container; do
  number=$([ $kind = instance ] && echo 1 || echo 3)
  session "$number" 60
  rm -f go go.held
  peer s3_front.py "$SHOAL_TEST_S3" holds go
  declare -n as=$kind
  "${as[@]}" "AWS_ENDPOINT_URL=http://127.0.0.1:$port" SHOAL_FETCH_CONNECTIONS=2 "$SHOAL" "${job[@]}" --retries 0 --results "$kind" none sh -c 'cp in/* out' 2>"$kind.err" &
  run=$!
  wait_for "inputs that are asked for" test -e go.held
  session $((number + 1)) 60
  s3 revoke "$user-$number"
  : >go
  expect_end 0 "credentials of the $kind that end while a shard is fetched" $run
  expect_true "… are replaced" all_of "$kind/outputs/res"
done

# ---- refused while the command runs: the result goes to S3 by the next ones
session 1 60
mkdir world
"${instance[@]}" "$SHOAL" "${job[@]}" --batch-size 100 -j 1 --retries 0 --results "s3://$bucket/result" none \
  sh -c "touch $PWD/world/runs; until [ -e $PWD/world/go ]; do sleep 0.05; done; cp in/* out" 2>run.err &
run=$!
wait_for "a command that runs" test -e world/runs
session 2 60
s3 revoke "$user-1"
: >world/go
expect_end 0 "credentials that end while a command runs" $run
expect_exit 0 "… and its result" "$SHOAL" get "s3://$bucket/result" got
expect_true "… is whole" all_of got/outputs/res

# ---- and when there are no next ones
s3 revoke "$user-2"
expect_exit 2 "credentials that have ended" "${instance[@]}" "$SHOAL" plan -v "s3://$bucket/in:/in" --glob '**' none true
expect_stderr "s3://$bucket/in/: HTTP 403 \(InvalidAccessKeyId\)"
expect_one_line
