#!/bin/bash
# What a job's options and paths may do to the host, asked from the command line. The runtimes themselves: tests/lib/container_isolation.c.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 1

job () { "$SHOAL" run --progress none --retries 0 -v in:/in -o res:/out --glob '*.txt' "$@"; }

mkdir at
# Names that mean something where paths are pasted into options.
for name in '12:30' 'r,1' 'r\1' 'r 1' 'r"1' 'r%1'; do
  expect_exit 0 "a result called ${name@Q}" job --results "at/$name" busybox sh -c 'echo x >/out/x; echo y >/mine; cat /mine'
  expect_same "… has what its container wrote" "x y" "$(cat "at/$name/outputs/res/x" "at/$name/stdout" | paste -sd' ')"
done
mkdir host work
place="$PWD/A,upperdir=$PWD/host,workdir=$PWD/work/r"
mkdir -p "$(dirname "$place")"
expect_exit 0 "a result whose path looks like options" job --results "$place" busybox sh -c 'touch /mine; ls -d /mine'
expect_same "… chooses no folder of the host" "" "$(ls -A host; ls -A work)"
cp -r "$SHOAL_IMAGES" 'images,1:2\3'
expect_exit 0 "an image store at such a path" env SHOAL_IMAGES="$PWD/images,1:2\\3" \
  "$SHOAL" run --progress none --retries 0 -v in:/in --glob '*.txt' --results store busybox true

# What isn't a container keeps what the options promise.
promise='touch "$HOST/made" /made; ls /sys/class/net; cat /scratch/x 2>/dev/null || echo y >/scratch/x; touch /in/made; cat /scratch/x; echo z >/out/z'
mkdir seen
expect_exit 0 "--runtime process with --read-only, --network none and --tmpfs" job --runtime process --read-only \
  --network none --tmpfs /scratch:size=1m -e "HOST=$PWD/seen" --results p any sh -c "$promise"
expect_same "… writes to nothing of the host" "" "$(ls -A seen)"
expect_same "… has memory of its own, and its outputs" "y z" "$(tail -1 p/stdout) $(cat p/outputs/res/z)"
expect_true "… and no input changed" test ! -e in/made
if [ "$(id -u)" = 0 ]; then
  expect_same "… has no network" lo "$(head -1 p/stdout)"
  expect_exit 0 "--runtime process with --user" job --runtime process --user 65534:65534 --results u any \
    sh -c 'id -u; id -g; cat /etc/shadow 2>/dev/null; grep CapEff /proc/self/status'
  expect_same "… is that user" "65534 65534 CapEff: 0000000000000000" "$(tr -s '\t\n' '  ' <u/stdout | sed 's/ $//')"
else
  expect_exit 1 "--runtime process with another user, not as root" job --runtime process --user 65534 --results u any true
  expect_stderr "--user 0:0"
fi

# Descriptors of the caller end with it.
for runtime in oci process; do
  expect_exit 0 "a shell's descriptors, --runtime $runtime" job --runtime "$runtime" --results "fd-$runtime" busybox \
    sh -c 'ls /proc/$$/fd; exit 0' 9</etc/passwd 77</etc/passwd
  expect_same "… aren't the command's" "0 1 2" "$(paste -sd' ' "fd-$runtime/stdout")"
done
"$SHOAL" run --progress none -v in:/in --glob '*.txt' --results parts busybox sleep 5 9</etc/passwd >/dev/null 2>&1 &
running=$!
parts_run () { [ "$(pgrep -c -P "$running")" -ge 2 ]; } # the producer may have ended
wait_for "its parts run" parts_run
expect_same "… nor the parts'" "" "$(for part in $(pgrep -P "$running"); do ls -l "/proc/$part/fd"; done | grep passwd || true)"
expect_end 0 "… and the job ends" "$running"

for option in dev suid remount lowerdir=/ size=x mode=7777; do
  expect_exit 2 "--tmpfs with $option" job --tmpfs "/scratch:$option" --results bad busybox true
  expect_stderr "tmpfs"
done
expect_exit 2 "--workdir out of the container" job --workdir "/../../..$PWD/made" --results bad busybox true
expect_exit 1 "--workdir that is a file" job --workdir /bin/busybox --results file busybox true
expect_stderr "/bin/busybox is a file in the image"
expect_true "nothing was made on the host" test ! -e made

# A user namespace that is asked for by its range is had, or the run is refused.
range=(--userns 100000:65536)
if [ "$(id -u)" -eq 0 ]; then
  expect_exit 2 "a range with runc" job --results range --oci-runtime runc "${range[@]}" busybox true
  expect_stderr "--userns: 100000:65536: needs crun: runc doesn't map the owners of mounted files"
else
  expect_exit 2 "an ordinary user's range" job --results range "${range[@]}" busybox true
  expect_stderr "--userns: 100000:65536: ranges are for root"
fi
expect_exit 2 "a range without containers" job --results range --runtime process "${range[@]}" none true
expect_stderr "--oci-runtime and --userns are for containers, and --runtime process makes none"
expect_exit 2 "a runtime of containers without containers" job --results range --runtime process --oci-runtime crun none true
expect_true "nothing was begun" test ! -e range

# A runtime may give what a command reads from to the command's user: with the machine's null device, that user could close it to all. Here it is a device of this test's.
if [ "$(id -u)" -eq 0 ]; then
  mknod -m 666 null c 1 3
  with_null () { unshare --mount --propagation private bash -c 'mount --bind null /dev/null && exec "$@"' - "$SHOAL" run --progress none --retries 0 -v in:/in "$@" busybox cat; }
  for options in '--userns none' '--userns 100000:65536' '--userns none --user 1234:4321' '--oci-runtime runc --user 1234:4321'; do
    # shellcheck disable=SC2086
    expect_exit 0 "reading nothing with $options" with_null --results "null-${options//[ :]/-}" $options
    expect_same "… leaves the machine's null device as it is" "0:0 666" "$(stat -c '%u:%g %a' null)"
  done
fi
