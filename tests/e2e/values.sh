#!/bin/bash
# Values that can't work are refused by name before anything is made; what only the machine knows is told while it is tried again.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 2

refused () { # CODE REGEX OPTION…
  local code=$1 regex=$2
  shift 2
  expect_exit "$code" "refused: $*" "$SHOAL" run -v in:/in -o out:/out --results r "$@" busybox true
  expect_stderr "$regex"
  expect_true "… and nothing is made" bash -c '! compgen -G "r" && ! compgen -G "r.partial"'
}
refused 2 "--scratch: nowhere: No such file" --scratch nowhere
refused 2 "--scratch: in/f001.txt: Not a directory" --scratch in/f001.txt
refused 2 '"nobodyx" isn.t in the image.s /etc/passwd' --user nobodyx
refused 2 '"stuff" isn.t in the image.s /etc/group' --group-add stuff
refused 2 "--memory: 1048576 is out of range: expected 6291456" --memory 1m
refused 3 "--ulimit nofile=1:999999999 is more than this worker's own hard limit" --ulimit nofile=1:999999999
refused 2 "--tmpfs: /dev: nothing can be mounted in /proc and /sys, and on /dev" --tmpfs /dev
refused 2 "/dev: nothing can be mounted" -o more:/dev
expect_exit 2 "a worker's scratch folder" "$SHOAL" worker --bus "sqlite:$PWD/bus" --scratch nowhere
expect_stderr "--scratch: nowhere: No such file"

# The first shard takes the scratch folder away from the second.
mkdir scratch
expect_exit 3 "a scratch folder that goes" "$SHOAL" run --progress plain -v in:/in -o out:/out --glob '*' --batch-size 1 -j 1 --backoff 300ms \
  --scratch scratch --runtime process --results gone any sh -c "mv '$PWD/scratch' '$PWD/taken' 2>/dev/null; true"
expect_stderr "^[0-9]+/2 shards.*, last failure: shard [01]: scratch folder scratch: No such file"

# What only a container tells is tried in one before anything is made.
tried () { # CODE REGEX OPTION…
  local code=$1 regex=$2
  shift 2
  expect_exit "$code" "tried: $*" timeout 20 "$SHOAL" run -v in:/in -o out:/out --glob '*' --results tried "$@" busybox true
  expect_stderr "$regex"
  expect_one_line
  expect_true "… and nothing is made" bash -c '! compgen -G "tried*"'
}
tried 2 "trying a container as the job has it: --memory, --cpus and --pids-limit can't be enforced on this host: limits need crun" --oci-runtime runc --memory 50m
tried 3 "user 70000:0: containers of this worker have users and groups 0 to 65535" --userns 100000:65536 --user 70000
tried 3 "trying a container as the job has it: .*Too many open files" --ulimit nofile=1:1
tried 3 "a command that does nothing ended with exit code 139" --ulimit data=1:1
