#!/bin/bash
# Inputs of this machine for a fleet that doesn't see them: copied to where the result is kept, once; what is refused.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
: "${SHOAL_TEST_S3:?is not set: tests/run.sh sets it, deploy/storage/server.sh start minio brings such a server up}"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testsecret AWS_EC2_METADATA_DISABLED=true
s3 () { AWS_ENDPOINT_URL=$SHOAL_TEST_S3 "$E2E_PYTHON" "$E2E_LIB/s3.py" "$@"; }
bucket=e2e-$$-$RANDOM
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; s3 remove "$bucket"'
s3 make "$bucket"
export HOME=$PWD/home SHOAL_STATE_DIR=$PWD/state SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/upload-$$-$RANDOM
expect_exit 0 "topics" "$SHOAL" topics create

make_files in/a 20
make_files in/b/c 15 g
make_files model 3 m
mkdir in/empty in/a/.hidden
head -c 40000000 /dev/urandom >in/b/large.txt
printf odd >"in/a/ü & <x> +%41 'q'.txt"
ln -s ../b/c/g003.txt in/a/link.txt
TREE='cd /in && find . -type f | while read -r f; do mkdir -p "/out/$(dirname "$f")" && cp "$f" "/out/$f"; done; mkdir -p /out/model && cp /model/* /out/model/; find . -type d >/out/folders$SHOAL_SHARD_INDEX'
job=(-v ./in:/in --volume-shared ./model:/model -o res:/out --glob '*' --batch-size 1 --on-conflict first)
s3_job=("${job[@]}" --s3-endpoint "$SHOAL_TEST_S3")
submit () { "$SHOAL" submit "${s3_job[@]}" "$@" busybox sh -c "$TREE"; }
expect_exit 0 "the same here" "$SHOAL" run "${job[@]}" --results here busybox sh -c "$TREE"

# ---- what is refused
expect_exit 2 "a folder that workers needn't see" submit --results "s3://$bucket/one"
expect_stderr "$PWD/in: a local folder that workers on other machines may not see: use --upload, or file://$PWD/in"
expect_one_line
expect_exit 2 "--upload to a folder" submit --upload --results folder
expect_stderr "--upload needs a result on S3: --results s3://"
expect_exit 2 "--upload without a fleet" "$SHOAL" run "${job[@]}" --upload --results alone busybox true
expect_stderr "--upload needs a fleet"
expect_exit 2 "--upload to workers of this machine" submit --bus sqlite:bus.db --upload --results "s3://$bucket/one"
expect_stderr "--upload needs a fleet: the workers of sqlite:bus.db run on this machine"
expect_exit 2 "no such bucket" submit --upload --results s3://no-such-bucket-here/one
expect_stderr "NoSuchBucket"
mkdir astray
ln -s "$(find "$PWD/model" -type f | head -n 1)" astray/out.txt
expect_exit 2 "a link that leads out of its volume" "$SHOAL" submit --s3-endpoint "$SHOAL_TEST_S3" -v ./astray:/in --symlinks follow --upload --results "s3://$bucket/astray" busybox true
expect_stderr "copying .*/astray: out.txt: points outside the volume"
expect_exit 2 "--fetch without a fleet" "$SHOAL" run "${job[@]}" --fetch copy --results alone busybox true
expect_stderr "--fetch needs a fleet"
expect_exit 2 "--fetch to what exists" submit --upload --fetch in --results "s3://$bucket/one"
expect_stderr "--fetch: in already exists: choose another folder"
expect_same "nothing is there after all that" "" "$(s3 list "s3://$bucket")"
expect_same "and no job" "" "$("$SHOAL" list --json)"

# ---- copied, then the fleet comes, where the folders aren't
expect_exit 0 "copied and submitted" submit --upload --id one --results "s3://$bucket/deep/one"
expect_stderr "/in: [0-9]+ files, .* uploading to s3://$bucket/deep/.shoal/inputs/[0-9a-f]{64}"
expect_exit 0 "the same once more is one job" submit --upload --id one --results "s3://$bucket/deep/one"
expect_stderr "/in: .* already uploaded: "
keys=$(s3 list "s3://$bucket/deep/.shoal/inputs" | cut -d/ -f1 | sort -u)
expect_same "two volumes, complete" 2 "$(grep -c '\.complete$' <<<"$keys")"
mkdir away
mv in model away/
for part in producer "worker --slots 1" "worker --slots 1" merger; do
  # shellcheck disable=SC2086
  SHOAL_STATE_DIR=$PWD/state.${#pids[@]} "$SHOAL" $part --s3-endpoint "$SHOAL_TEST_S3" 2>"part.${#pids[@]}.err" &
  pids+=($!)
done
expect_exit 0 "the fleet runs it" "$SHOAL" watch -q one
expect_exit 0 "get" "$SHOAL" get --s3-endpoint "$SHOAL_TEST_S3" "s3://$bucket/deep/one" one
expect_true "the same bytes, folders with nothing in them as well" diff -r --exclude link.txt here/outputs one/outputs
expect_true "a link is the file that it led to" cmp away/in/b/c/g003.txt one/outputs/res/a/link.txt

# ---- other content is another place, the same one isn't copied again
mv away/in away/model .
echo other >in/a/f001.txt
expect_exit 0 "one file changed" "$SHOAL" run --bus "$SHOAL_BUS" "${s3_job[@]}" --upload --fetch fetched --id two --results "s3://$bucket/deep/two" busybox sh -c "$TREE"
expect_stderr "/in: .* uploading to s3://"
expect_stderr "/model: .* already uploaded: "
expect_exit 0 "get the other" "$SHOAL" get --s3-endpoint "$SHOAL_TEST_S3" "s3://$bucket/deep/two" two
expect_true "which --fetch had brought" diff -r two fetched
expect_same "it has what changed" other "$(cat two/outputs/res/a/f001.txt)"
expect_exit 0 "who knows that workers see it says so" "$SHOAL" run --bus "$SHOAL_BUS" --s3-endpoint "$SHOAL_TEST_S3" -v "file://$PWD/model:/in" -o res:/out --glob '*' --batch-size 2 \
  --id three --results "s3://$bucket/deep/three" busybox sh -c 'cp /in/* /out'
expect_same "… and nothing was copied for it" 3 "$(s3 list "s3://$bucket/deep/.shoal/inputs" | grep -c '\.complete$')"
expect_exit 0 "submit waits for what it fetches" submit --upload --fetch again -q --id two --results "s3://$bucket/deep/two"
expect_same "quietly" "" "$(cat "$E2E_WORK/err")"
expect_true "the same" diff -r two again
expect_exit 1 "what fails isn't fetched" "$SHOAL" run --bus "$SHOAL_BUS" "${s3_job[@]}" --upload --fetch nothing --retries 0 --id four --results "s3://$bucket/deep/four" busybox false
expect_stderr 'nothing was copied; `shoal get four nothing` copies what there is'
expect_true "… nor begun" test ! -e nothing -a ! -e nothing.partial
for pid in "${pids[@]}"; do kill "$pid"; expect_end 0 "SIGTERM ends a part" "$pid"; done
pids=()
