#!/bin/bash
# What bad input gets: exit 2 and one line that names the thing; nothing is made.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 3
mkdir other

# bad REGEX ARG…: `shoal run` with these is refused with a line that says REGEX.
bad () {
  local regex=$1
  shift
  expect_exit 2 "refused: $*" "$SHOAL" run --results r "$@"
  expect_stderr "^shoal: .*$regex"
  expect_one_line
  if compgen -G "r*" >/dev/null; then fail "something was made: $(echo r*)"; rm -rf r r.partial; fi
}
sliced=(-v in:/in --glob '*.txt')

bad "'f\[a'.* (position|byte) [0-9]+" -v in:/in --glob 'f[a' busybox true
bad "base path /in.*'\*.png'.*3 paths" -v in:/in --glob '*.png' busybox true
bad "\-\-batch-size: 0 is out of range: expected 1" "${sliced[@]}" --batch-size 0 busybox true
bad "\-\-batch-size: -3 is out of range" "${sliced[@]}" --batch-size=-3 busybox true
bad "\-\-batch-size: \"many\" is not a whole number" "${sliced[@]}" --sharding-batch-size many busybox true
bad "nosuch: No such file" -v nosuch:/in --glob '*' busybox true
bad "no storage is known for 'gs:'" -v gs://bucket/x:/in --glob '*' busybox true
bad "'x' is not a bucket name, expected s3://BUCKET/PREFIX" -v s3://x/y:/in --glob '*' busybox true
bad "\"s3://photos\": expected SRC:PATH" -v s3://photos --glob '*' busybox true
bad "\-\-s3-endpoint: expected http" "${sliced[@]}" --s3-endpoint localhost:9000 busybox true
bad "\-\-cache-size: \"much\" is not a size" "${sliced[@]}" --cache-size much busybox true
bad "\-\-upload needs a fleet" "${sliced[@]}" --upload busybox true
bad "two volumes at the same path /in" -v in:/in -v other:/in --glob '*' busybox true
bad "inside the input" "${sliced[@]}" -o out:/in/out busybox true
bad "is inside the output" -v in:/all/in --glob '*' -o out:/all busybox true
bad "can't be the container's root" "${sliced[@]}" -o out:/ busybox true
bad "are nested" "${sliced[@]}" -o a:/out -o b:/out/b busybox true
bad "two outputs with the name a" "${sliced[@]}" -o a:/x -o a:/y busybox true
bad "nosuchimage.*shoal image import" "${sliced[@]}" nosuchimage true
bad "nosuchimage.*shoal image import" "${sliced[@]}" -o out:/out --reduce nosuchimage busybox true
bad "unknown option --glop: did you mean --glob\?" -v in:/in --glop '*' busybox true
bad "unknown option -Z" -Z busybox true
bad "\-\-glob needs an argument" -v in:/in --glob
bad "\-\-read-only takes no argument" --read-only=yes busybox true
bad "\-\-s could be --symlinks, --stage|--s could be" --s busybox true
bad "missing image" "${sliced[@]}"
bad "\"in\": expected SRC:PATH" -v in --glob '*' busybox true
bad "\"in:in\": expected SRC:PATH" -v in:in --glob '*' busybox true
bad "inputs are read-only" -v in:/in:rw --glob '*' busybox true
bad "\-\-output: \"a/b\": expected a folder's name" "${sliced[@]}" -o a/b:/out busybox true
bad "\-\-memory: \"lots\" is not a size" "${sliced[@]}" --memory lots busybox true
bad "\-\-timeout: \"0\" is not a duration" "${sliced[@]}" --timeout 0 busybox true
bad "\-\-cpus: \"no\" is not a number of CPUs" "${sliced[@]}" --cpus no busybox true
bad "\-\-fail-on: \"1,x\" is not a list of exit codes" "${sliced[@]}" --fail-on 1,x busybox true
bad "\-\-min-success: \"95\" is not a percentage" "${sliced[@]}" --min-success 95 busybox true
bad "\-\-max-failures: \"-1\"|--max-failures: -1 is out of range" "${sliced[@]}" --max-failures=-1 busybox true
bad "\-\-on-conflict: \"best\" is none of fail, first" "${sliced[@]}" --on-conflict best busybox true
bad "\-\-network: \"bridge\" is none of none, host" "${sliced[@]}" --network bridge busybox true
bad "\-\-runtime: \"docker\" is none of oci, process" "${sliced[@]}" --runtime docker busybox true
bad "\-\-progress: \"dots\" is none of" "${sliced[@]}" --progress dots busybox true
bad "\-\-id: \"a/b\": expected" "${sliced[@]}" --id a/b busybox true
bad "\-\-env: \"=x\": expected" "${sliced[@]}" -e =x busybox true
bad "\-\-env-file: .*nosuchfile" "${sliced[@]}" --env-file nosuchfile busybox true
bad "\-\-workdir: \"tmp\": expected" "${sliced[@]}" -w tmp busybox true
bad "base path" "${sliced[@]}" --base-path /elsewhere busybox true
bad "\-\-batch-size: has no effect without --glob" -v in:/in --batch-size 2 busybox true
bad "\-\-order: has no effect without --glob" -v in:/in --order size busybox true
bad "--shards can't be combined with" "${sliced[@]}" --shards 2 --batch-size 2 busybox true
bad "\-\-reduce-command: .*unclosed quote" "${sliced[@]}" --reduce busybox --reduce-command "sh -c 'x" busybox true
bad "needs a volume" --glob '*' busybox true
# What no shard could ever run is no matter for a shard.
bad "\-\-reduce: .*outputs of the shards, and the job has none: name them by -o" "${sliced[@]}" --reduce busybox --reduce-command true busybox true
bad "\-\-volume: the volume .*in can't be the container's root" -v in:/ busybox true
bad "\-\-volume: /.shoal is where a container finds the list of its inputs" -v in:/.shoal --glob '*' busybox true
bad "\-\-output: /.shoal is where a container" "${sliced[@]}" -o out:/.shoal busybox true
bad "\-\-volume: /shards is where the reduce container" "${sliced[@]}" -o out:/out --volume-shared other:/shards --reduce busybox busybox true
bad "\-\-output: /shards is where the reduce container" "${sliced[@]}" -o out:/shards --reduce busybox busybox true
bad "\-\-volume: volume /in/sub is to be mounted in volume /in, where there is no sub: create it in .*/in" -v in:/in -v other:/in/sub busybox true
bad "\-\-volume: volume /in/sub is to be mounted" -v other:/data --volume-shared in:/in -v other:/in/sub --glob '*' busybox true
bad "nothing to run: with --runtime process there is no image that has a command" "${sliced[@]}" --runtime process x
bad "nothing to run: with --runtime process" "${sliced[@]}" --runtime process --entrypoint '' x
bad "\-\-reduce-command: nothing to run: with --runtime process" "${sliced[@]}" -o out:/out --runtime process --reduce x x true
bad "image \"busybox\": nothing to run: the image has no command" "${sliced[@]}" --entrypoint '' busybox
mkdir many
seq -f 'many/%05.0f' 1001 | xargs touch
expect_exit 2 "more files in a shard than can be mounted one by one: when planning" "$SHOAL" plan -v many:/in --glob '*' --batch-size 2000 --stage bind busybox true
expect_stderr "--stage bind takes at most 1000 input files per shard, and shard 0 has 1001: use --stage auto, or smaller shards"
expect_exit 0 "… in two shards" "$SHOAL" plan -v many:/in --glob '*' --batch-size 1000 --stage bind busybox true
expect_exit 0 "… by their number" "$SHOAL" plan -v many:/in --glob '*' --shards 2 --stage bind busybox true
expect_exit 2 "… in one" "$SHOAL" plan -v many:/in --glob '*' --shards 1 --stage bind busybox true
expect_stderr "shard 0 has 1001: use --stage auto, or smaller shards"
bad "\-\-joblog nosuch/log" "${sliced[@]}" --joblog nosuch/log busybox true

expect_exit 2 "docker without run" "$SHOAL" docker ps
expect_stderr "only .shoal docker run. is supported"
expect_exit 2 "a lease of more than a day" "$SHOAL" topics create --bus kafka://127.0.0.1:1 --lease 25h
expect_stderr "\"25h\" is longer than a day"
expect_exit 2 "a place in a folder that isn't there" "$SHOAL" run "${sliced[@]}" --results no/such/r busybox true
expect_stderr "no/such/r: the folder above it"
expect_exit 2 "a result inside an input" "$SHOAL" run "${sliced[@]}" --results in/r busybox true
expect_stderr "inside the input .*in: choose another --results"
mkdir foreign
echo mine >foreign/file
expect_exit 2 "a folder that isn't ours" "$SHOAL" run "${sliced[@]}" --results foreign busybox true
expect_stderr "foreign exists and is not a result of shoal"
expect_same "… is left alone" mine "$(cat foreign/file)"

for command in status logs resume retry merge cancel report; do
  expect_exit 2 "$command of a result that isn't there" "$SHOAL" $command nosuchresult
  expect_stderr "nosuchresult: no such result"
  expect_one_line
  expect_exit 2 "$command of nothing" "$SHOAL" $command
  expect_stderr "missing argument: shoal $command"
  expect_exit 2 "$command of too much" "$SHOAL" $command a b
  expect_stderr "unexpected argument \"b\""
  expect_exit 2 "$command of somebody's folder" "$SHOAL" $command foreign
  expect_stderr "not a result of shoal"
done

expect_exit 2 "an unknown command" "$SHOAL" stauts
expect_stderr 'unknown command "stauts": did you mean status\?'
expect_exit 2 "no command" "$SHOAL"
expect_stderr "missing command"
expect_exit 2 "help on nothing known" "$SHOAL" help xyzzy
expect_stderr 'no help on "xyzzy"'
expect_exit 2 "a service without a bus" env -u SHOAL_BUS "$SHOAL" worker
expect_stderr "no bus given"
expect_exit 2 "a bus of no known kind" "$SHOAL" merger --bus carrier:pigeon
expect_stderr "carrier"
expect_exit 3 "output that can't be written" sh -c '"$1" plan -v in:/in --glob "*" --atoms busybox >/dev/full' - "$SHOAL"
expect_exit 2 "a fault that doesn't parse" env SHOAL_FAULT=nonsense "$SHOAL" --version
newline=$'in\n2'
mkdir "$newline"
expect_exit 2 "a name with a newline in an error" "$SHOAL" run -v "$newline:/in" --glob '*' busybox true
expect_one_line

# ---- of a fleet
for property in 'sasl.password:hunter2' 'sasl.password:hunter2==' 'sasl.password hunter2=' hunter2 '=hunter2'; do
  expect_exit 2 "-X without its = is refused" "$SHOAL" list --bus kafka://127.0.0.1:9 -X "$property"
  expect_stderr '^shoal: --property: expected NAME=VALUE'
  expect_one_line
  expect_true "and the password isn't shown" eval '! grep -q hunter2 "$E2E_WORK/err"'
done
expect_exit 2 "a reason that no letter has" "$SHOAL" dead list --bus kafka://127.0.0.1:9 --reason nosuch
expect_stderr '^shoal: --reason: "nosuch" is none of failed, oom, timeout, infra, worker_lost, undecodable, conflict'
