#!/bin/bash
# The Dockerfile, as people without Debian build it: by buildah, on a base of Debian's packages that is made here. 7 minutes on a busy machine.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
source=$(realpath "$E2E_LIB/../..")
export CONTAINERS_STORAGE_CONF=$PWD/storage.conf
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' "$PWD" "$PWD" >storage.conf
expect_exit 0 "a base" mmdebstrap --quiet --variant=apt bookworm base.tar
expect_exit 0 "as an image" podman import -q base.tar localhost/base:1
expect_exit 0 "the Dockerfile" buildah bud -q --isolation chroot --build-arg BASE=localhost/base:1 -t localhost/shoal:1 "$source"
# crun 1.8 fails for every container where it sees version 2 of control groups beside version 1.
apart=(unshare --mount bash -c 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' -)
inside () { "${apart[@]}" podman run --rm --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none localhost/shoal:1 "$@"; }
expect_exit 0 "runs" inside --version
expect_same "it is this version" "$("$SHOAL" --version)" "$(<"$E2E_WORK/out")"
expect_exit 0 "as a worker" inside worker --help
expect_same "not as root" 10001:10001 "$(podman image inspect --format '{{.Config.User}}' localhost/shoal:1)"
