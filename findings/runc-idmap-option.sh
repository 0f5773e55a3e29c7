#!/bin/bash
# runc 1.1 runs a container whose configuration asks for an id-mapped mount, and doesn't map it.
#
# Behaviour: a bind mount with the option "idmap" in a container with a user namespace. crun maps the owners of the mount by
# the container's mappings: a file of the host's root is root's in the container. runc starts the same bundle without an
# error or a warning, and the file is of the overflow user. An option that a runtime doesn't know is handed to mount(2) as
# data, which bind mounts ignore.
# Seen with: runc 1.1.5, crun 1.8.1 (Debian 12); must run as root
# Output seen:
#   crun: exit 0, owner 0
#   runc: exit 0, owner 65534
# What follows: shoal refuses --userns FIRST:COUNT with runc (worker/oci.c).
# Exits with 1 when either behaves otherwise.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "run this as root: mappings of user namespaces and mounts need it"; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q runc='1.1.5*' crun='1.8.1*' busybox-static libyajl2 libseccomp2 libsystemd0 libcap2 libgcrypt20 libgpg-error0 >apt.log 2>&1 || { cat apt.log; exit 2; }
for package in *.deb; do dpkg -x "$package" tools; done
export LD_LIBRARY_PATH=$work/tools/usr/lib/x86_64-linux-gnu:$work/tools/lib/x86_64-linux-gnu
mkdir -p bundle/root/{bin,dev,proc,data} data
cp tools/bin/busybox bundle/root/bin/
echo mine >data/file
chmod 755 . bundle bundle/root data
chown -R 100000:100000 bundle/root # its user has to make /dev there
cat >make.py <<'PYTHON'
import json
import sys

name = {"containerID": 0, "hostID": 100000, "size": 65536}
json.dump({
    "ociVersion": "1.0.2",
    "process": {"args": ["/bin/busybox", "stat", "-c", "%u", "/data/file"], "cwd": "/", "env": [], "user": {"uid": 0, "gid": 0}},
    "root": {"path": "root", "readonly": True},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
               {"destination": "/data", "type": "bind", "source": sys.argv[1], "options": ["bind", "idmap"]}],
    "linux": {"namespaces": [{"type": kind} for kind in ("mount", "pid", "user")], "uidMappings": [name], "gidMappings": [name]},
}, open("bundle/config.json", "w"))
PYTHON
python3 make.py "$work/data"
owner() # RUNTIME
{
  local code=0
  "$@" --root "$work/state" run --bundle bundle "idmap-$$" >out 2>err </dev/null || code=$?
  echo "${1##*/}: exit $code, owner $(cat out err)"
}
# crun doesn't start where both versions of control groups are mounted; it needs none here.
crun() { unshare --mount sh -c 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"' sh tools/usr/bin/crun --cgroup-manager=disabled "$@"; }
{ owner crun; owner tools/usr/sbin/runc; } | tee seen
diff - seen <<'SEEN' >/dev/null || { echo "they behave otherwise now"; exit 1; }
crun: exit 0, owner 0
runc: exit 0, owner 65534
SEEN
