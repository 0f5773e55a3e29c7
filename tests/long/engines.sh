#!/bin/bash
# Images that Docker's engine and crane write, with their root file systems as the engine exports them.
# Installs docker.io and builds crane; the engine runs with folders and a socket of its own.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
here=$(cd "$E2E_LIB/../.." && pwd)
. "$E2E_LIB/image_trees.sh"
export DOCKER_HOST=unix://$PWD/docker.sock DOCKER_BUILDKIT=0
"$here/tools/install.sh" engines test run
crane=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/crane/crane
[ -x "$crane" ] || GOBIN=$(dirname "$crane") go install github.com/google/go-containerregistry/cmd/crane@v0.20.2
own_store busybox
make_files in 1
docker=/usr/bin/docker

# crun and runc of Debian fail beside version 2 of control groups; the engine sees version 1 alone.
unshare --mount bash -c 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' - \
  dockerd --host "$DOCKER_HOST" --data-root "$PWD/data" --exec-root "$PWD/exec" --pidfile "$PWD/docker.pid" --storage-driver vfs \
  --bridge none --iptables=false --ip6tables=false >engine.log 2>&1 &
engine=$!
at_end 'kill $engine; wait $engine || true'
wait_for "the engine" $docker version || cat engine.log

mkdir context
umoci raw unpack --image "$E2E_CACHE/layouts/busybox:latest" context/root >/dev/null 2>&1
echo one >context/one
cat >context/Dockerfile <<'END'
FROM scratch
COPY root/ /
ENV PATH=/bin FIRST=1
COPY --chown=1234:4321 one /data/one
WORKDIR /data/deep
COPY one /gone/x
RUN ["/bin/sh", "-c", "rm -r /gone; ln -s ../one soft; ln ../one hard; chmod 4755 /data/one"]
USER 1234:4321
ENV FIRST=2
CMD ["env"]
END
expect_exit 0 "the engine builds" $docker build -q --network none -t tool:1 context
$docker create --name seen tool:1 >/dev/null
mkdir engine
$docker export seen | tar -C engine -xpf -
# The engine makes mount points of its own.
own=(.dockerenv etc/hosts etc/hostname etc/resolv.conf etc/mtab)
tree engine "${own[@]}" >engine.tree
expect_true "the engine's tree has the files" grep -q './data/one f 4755 1234:4321' engine.tree
$docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' tool:1 | grep . | LC_ALL=C sort >engine.env

same () { # WHAT SOURCE
  same_tree "$1" "$2" "the engine's" engine.tree "${own[@]}"
  expect_same "… and its environment" "$(<engine.env)" "$(python3 -c 'import json, sys; print(*sorted(json.load(open(sys.argv[1]))["config"]["Env"]), sep="\n")' "$imported/config.json")"
  expect_exit 0 "… it runs" "$SHOAL" run -q -v in:/in -o o:/out --results "r$RANDOM$RANDOM" this
  expect_exit 0 "… and goes" "$SHOAL" image remove this
}
$docker save tool:1 >docker.tar
$docker tag tool:1 registry.example:5000/other:v2
$docker save tool:1 registry.example:5000/other:v2 | gzip >several.tgz
same "docker save" docker.tar
same "docker save of two names, compressed" several.tgz:registry.example:5000/other:v2
same "the engine's own" docker-daemon:tool:1
# crane, by way of a registry
printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' "$PWD/registry" >registry.yml
docker-registry serve registry.yml >registry.log 2>&1 &
at_end "kill -9 $! || true"
wait_for "the registry" grep -q 'listening on' registry.log
address=localhost:$(grep -oE 'listening on 127.0.0.1:[0-9]+' registry.log | grep -oE '[0-9]+$')
"$crane" push --insecure docker.tar "$address/tool:1" >/dev/null 2>&1
for format in tarball legacy oci; do
  "$crane" pull --insecure --format $format "$address/tool:1" crane.$format 2>/dev/null
  same "crane's format $format" crane.$format
done
expect_exit 0 "pull of what crane pushed" "$SHOAL" image pull --tls-verify=false "$address/tool:1"
