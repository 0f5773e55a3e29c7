#!/bin/bash
# Somebody who isn't root runs images whose user isn't root either: the one that there is in the container has the number asked for.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
own_store busybox
switch=()
if [ "$(id -u)" = 0 ]; then
  # nobody can't read root's folders
  chmod 755 "$E2E_WORK" "$PWD"
  mkdir -m 777 at
  cp "$SHOAL" at/shoal
  cd at
  SHOAL=$PWD/shoal
  export SHOAL_IMAGES=$PWD/store XDG_CACHE_HOME=$PWD/cache
  switch=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
as () { "${switch[@]}" "$@"; }
as mkdir in
as sh -c 'for n in 1 2; do echo $n >in/$n.txt; done'
cp -r "$layout" layout
mkdir -p root/etc
printf 'root:x:0:0::/root:/bin/sh\nworker:x:1000:2000::/home/worker:/bin/sh\n' >root/etc/passwd
printf 'root:x:0:\nworkers:x:2000:\n' >root/etc/group
umoci insert --image layout:latest root/etc /etc >/dev/null
for user in 1000 1000:2000 worker 4000000000; do
  umoci config --image layout:latest --tag "$(tr -d : <<<"u$user")" --config.user "$user" >/dev/null
  chmod -R a+rX layout
  as "$SHOAL" image import "layout:$(tr -d : <<<"u$user")" --as "$(tr -d : <<<"u$user")" >/dev/null
done
as "$SHOAL" image import layout:latest --as plain >/dev/null
run () { as "$SHOAL" run -q --progress none --retries 0 -v ./in:/in -o res:/out "$@"; }

# IMAGE EXPECTED OPTION…
check () {
  local image=$1 expected=$2 name
  name=r$((count += 1))
  shift 2
  expect_exit 0 "image $image $*" run --results "$name" "$@" "$image" \
    sh -c 'id -u; id -g; stat -c %u:%g /bin/busybox /in/1.txt; touch /made /out/file && stat -c %u:%g /made /out/file; grep CapEff /proc/self/status'
  expect_same "… is $expected, as is all that it sees" "$(xargs <<<"${expected/:/ } $expected $expected $expected $expected CapEff: 0000000000000000")" \
    "$(xargs <"$name/stdout")"
  expect_same "… its outputs are the caller's" "$(as id -u):$(as id -g)" "$(stat -c %u:%g "$name/outputs/res/file")"
}
count=0
check u1000 1000:2000
check u10002000 1000:2000
check uworker 1000:2000
check u4000000000 4000000000:0
check plain 1234:4321 --user 1234:4321
check plain 1000:2000 --user worker
expect_exit 0 "with --network host" run --results host --network host u1000 sh -c 'id -u >/out/id'
expect_same "…" 1000 "$(cat host/outputs/res/id)"

# The host's network is seen in the host's /sys, without its control groups, and nothing of it can be written to.
look='ls /sys/class/net; ls -A /sys/kernel /sys/fs/cgroup; find /sys -maxdepth 3 -type f -perm -200 2>/dev/null | while read -r f; do (: >>"$f") 2>/dev/null && echo "$f can be written"; done; touch /sys/x 2>/dev/null && echo made; :'
shown () { ls /sys/class/net; printf '/sys/fs/cgroup:\n\n/sys/kernel:\n'; }
for image in u1000 plain; do
  expect_exit 0 "$image: --network host has /sys" run --results "sys-$image" --network host "$image" sh -c "$look"
  expect_same "…" "$(shown | sort)" "$(sort "sys-$image/stdout")"
done
expect_exit 0 "with --read-only and memory" run --results ro --read-only --tmpfs /scratch uworker sh -c 'touch /scratch/x && ! touch /made && echo $HOME'
expect_same "… and the user's home" /home/worker "$(cat ro/stdout)"
expect_exit 0 "without an init" run --results noinit --init=false uworker id -u
expect_same "…" 1000 "$(cat noinit/stdout)"
expect_exit 0 "root of an image is as before" run --results rooted --user 0 uworker id -u
expect_same "…" 0 "$(cat rooted/stdout)"
if command -v runc >/dev/null; then
  expect_exit 2 "runc can't" run --results runc --oci-runtime runc uworker true
  expect_stderr "user 1000:2000 needs crun.*--user 0:0"
fi
expect_exit 2 "further groups aren't to be had" run --results groups --group-add 5 uworker true
expect_stderr "--group-add needs a worker that runs as root"

# What only a further group of the caller may read, its containers read as well.
if [ "$(id -u)" = 0 ]; then
  mkdir shared
  echo secret >shared/file
  chown -R 0:4242 shared
  chmod 750 shared
  chmod 640 shared/file
  switch=(setpriv --reuid=65534 --regid=65534 --groups 4242)
  for image in plain uworker; do
    for more in "" "--glob *.txt" "--network host"; do
      name=group-$image-$(tr -dc a-z <<<"$more")
      # shellcheck disable=SC2086
      expect_exit 0 "$image: a further group's folder as a volume $more" run --results "$name" --volume-shared ./shared:/shared $more "$image" cat /shared/file
      expect_same "… is read" secret "$(uniq <"$name/stdout")"
    done
    expect_exit 0 "$image: its files as inputs" as "$SHOAL" run -q --progress none -v ./shared:/shared --glob file --results "files-$image" "$image" cat /shared/file
    expect_same "… are read" secret "$(cat "files-$image/stdout")"
    expect_exit 0 "$image: one of its files as a volume" run --results "one-$image" -v ./shared/file:/one "$image" cat /one
    expect_same "… is read" secret "$(cat "one-$image/stdout")"
  done
fi
