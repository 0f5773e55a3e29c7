#!/bin/bash
# Images that Debian's buildah and podman write, in each of their formats: root file system and environment as podman has them.
# Those that Docker's engine, crane, ko and jib write take longer: tests/long.sh engines writers.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
. "$E2E_LIB/image_trees.sh"
own_store busybox
export CONTAINERS_STORAGE_CONF=$PWD/storage.conf
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' "$PWD" "$PWD" >storage.conf
make_files in 1

# Layers with links, hidden files, owners, modes, and what an image says about running it.
build () { # COMMAND…
  local container=$1
  shift
  buildah config "$@" "$container" >/dev/null
}
umoci raw unpack --image "$E2E_CACHE/layouts/busybox:latest" busybox >/dev/null 2>&1
container=$(buildah from -q scratch)
root=$(buildah mount "$container")
cp -a busybox/. "$root/"
mkdir -p "$root/data/deep" "$root/gone" "$root/opaque"
echo one >"$root/data/one"
ln "$root/data/one" "$root/data/deep/hard"
ln -s ../one "$root/data/deep/soft"
ln -s /data "$root/link"
echo x >"$root/gone/x"
echo old >"$root/opaque/old"
printf '#!/bin/sh\nexec "$@"\n' >"$root/data/entry"
chmod 755 "$root/data/entry"
chown 1234:4321 "$root/data/one"
chmod 4755 "$root/data/entry"
chmod 1777 "$root/data/deep"
chmod 700 "$root/opaque"
echo 'me:x:1234:4321::/data:/bin/sh' >>"$root/etc/passwd"
buildah umount "$container" >/dev/null
build "$container" --env PATH=/bin --env 'FIRST=1' --env 'WITH=a b=c "d"' --workingdir /data/deep --entrypoint '["/data/entry"]' --cmd 'env' --label some=label
buildah commit -q "$container" localhost/lower:1 >/dev/null
container=$(buildah from -q localhost/lower:1)
root=$(buildah mount "$container")
rm -r "$root/gone" "$root/opaque"
mkdir "$root/opaque"
echo new >"$root/opaque/new"
rm "$root/data/deep/soft"
mkdir "$root/data/deep/soft"
touch -d '2001-02-03 04:05:06Z' "$root/opaque/new"
buildah umount "$container" >/dev/null
build "$container" --env 'FIRST=2' --user 1234:4321
buildah commit -q "$container" localhost/tool:1 >/dev/null

# What a folder holds: path, type, mode, owner, link, sum.
# The container of podman's: what it exports as it has unpacked it.
podman create -q --name seen localhost/tool:1 >/dev/null
mounted=$(podman mount seen)
tree "$mounted" >podman.tree
podman umount seen >/dev/null
expect_true "podman's own tree has the files" grep -q './opaque/new f 644 0:0' podman.tree
# crun 1.8 fails for every container where it sees version 2 of control groups beside version 1.
apart=(unshare --mount bash -c 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' -)
"${apart[@]}" podman run --rm --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none localhost/tool:1 >podman.env 2>podman.err
common () { grep -vE '^(HOSTNAME|TERM|container|SHOAL_[A-Z_]*|HOME|TRACEPARENT)=' "$1" | LC_ALL=C sort; }

same () { # WHAT SOURCE
  same_tree "$1" "$2" "podman's" podman.tree
  expect_exit 0 "… it runs" "$SHOAL" run -q -v in:/in -o o:/out --results "r$((n += 1))" this
  expect_same "… its environment is podman's" "$(common podman.env)" "$(common "r$n/stdout")"
  expect_exit 0 "… and goes" "$SHOAL" image remove this
}
n=0
buildah push -q localhost/tool:1 oci-archive:oci.tar:tool:1
buildah push -q localhost/tool:1 docker-archive:docker.tar:localhost/tool:1
buildah push -q localhost/tool:1 dir:"$PWD/dir"
buildah push -q localhost/tool:1 oci:"$PWD/layout":1
buildah push -q --format v2s2 localhost/tool:1 oci:"$PWD/docker-layout":1
podman push -q --compression-format zstd localhost/tool:1 oci:"$PWD/zstd":1
podman save -q --format oci-archive -o podman-oci.tar localhost/tool:1
podman save -q --format docker-archive -m -o several.tar localhost/tool:1 localhost/lower:1
podman save -q --format oci-dir -o podman-dir localhost/tool:1
gzip -k docker.tar
same "buildah's OCI archive" oci.tar
same "buildah's Docker archive" docker.tar
same "… compressed" docker.tar.gz
same "buildah's dir:" dir:dir
same "buildah's layout" layout
same "… with Docker's types" docker-layout
same "podman's layers of zstd" zstd
same "podman save, OCI" podman-oci.tar
same "podman save, OCI folder" podman-dir
same "podman save of two images" several.tar:localhost/tool:1
same "podman's storage" containers-storage:localhost/tool:1
expect_true "podman save through a pipe" eval 'podman save -q localhost/tool:1 | "$SHOAL" image import - --as this'
