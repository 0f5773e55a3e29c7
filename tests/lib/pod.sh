#!/bin/bash
# pod.sh start|stop|process DIR …: a pod without Kubernetes. The user's image, unchanged, in a container of crun whose first process is the agent; the worker is outside.
#   start DIR ROOTFS         DIR/bin, run, data and more become what the volumes of a pod are; returns when the agent is there. Root only.
#   stop DIR                 ends it
#   process DIR              the agent's process, as this machine sees it
# Environment of start: POD_AGENT: the program; POD_USER (default 0); POD_WORDS: behind the agent's socket, JSON strings after a comma (default ,"--");
# POD_MOUNTS: FOLDER:PATH:ro|rw …, beside the usual; POD_GROUP: a folder of a control group of memory (version 1) that it is in.
set -euo pipefail
pod_dir=$(realpath "$2")
pod_id=shoal-pod-$(cksum <<<"$pod_dir" | cut -d' ' -f1)

# crun takes the groups of some machines for broken, and needs none here: it sees an empty folder. What the container is to see of them is mounted before.
pod_crun () {
  unshare --mount bash -c '[ -z "$0" ] || { mount --bind "$0" "$1/group" && echo $$ >"$0/cgroup.procs"; }
    mount -t tmpfs none /sys/fs/cgroup && exec crun --cgroup-manager=disabled "${@:2}"' "${POD_GROUP:-}" "$pod_dir" "$@"
}

pod_mounts () { # FOLDER:PATH:MODE…: as JSON, each after a comma
  local mount
  for mount; do
    printf ',{"destination":"%s","source":"%s","type":"bind","options":["bind","%s"]}' "$(cut -d: -f2 <<<"$mount")" "$pod_dir/${mount%%:*}" "${mount##*:}"
  done
}

pod_start () { # ROOTFS
  local user=${POD_USER:-0} mounts words=${POD_WORDS-,\"--\"} end=$((SECONDS + 30))
  read -ra mounts <<<"bin:/shoal/bin:ro run:/shoal/run:rw data/atoms:/.shoal:ro data/in:/in:ro data/out:/out:rw data/shards:/shards:ro ${POD_MOUNTS:-}"
  [ -z "${POD_GROUP:-}" ] || mounts+=(group:/sys/fs/cgroup/memory:ro)
  if [ ! -d "$pod_dir/rootfs" ]; then
    mkdir -p "$pod_dir/group"
    for mount in "${mounts[@]}"; do mkdir -p "$pod_dir/${mount%%:*}"; done
    cp -a "$1" "$pod_dir/rootfs"
    "$POD_AGENT" install "$pod_dir/bin/agent"
    chown -R "$user:$user" "$pod_dir/rootfs"
    # emptyDirs are root's, and open to all; so are the folders that kubelet makes for a subPath.
    find "$pod_dir"/{bin,run,data} -type d -exec chmod 777 {} +
  fi
  cat >"$pod_dir/config.json" <<CONFIG
{"ociVersion":"1.0.2","root":{"path":"rootfs","readonly":false},
 "process":{"terminal":false,"user":{"uid":$user,"gid":$user},"cwd":"/","noNewPrivileges":true,
  "args":["/shoal/bin/agent","serve","/shoal/run/agent.sock"$words],"env":["PATH=/bin","OF_IMAGE=yes"],
  "capabilities":{"bounding":[],"effective":[],"inheritable":[],"permitted":[],"ambient":[]}},
 "mounts":[{"destination":"/proc","type":"proc","source":"proc"},{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["mode=755"]},
  {"destination":"/sys","type":"sysfs","source":"sysfs","options":["ro"]},
  {"destination":"/sys/fs/cgroup","type":"tmpfs","source":"tmpfs","options":["mode=755"]}$(pod_mounts "${mounts[@]}")],
 "linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"}]}}
CONFIG
  rm -f "$pod_dir/run/agent.sock"
  pod_crun run --detach --bundle "$pod_dir" "$pod_id" </dev/null >"$pod_dir/agent.log" 2>&1 || { cat "$pod_dir/agent.log" >&2; exit 1; }
  until [ -S "$pod_dir/run/agent.sock" ]; do
    [ $SECONDS -lt $end ] || { cat "$pod_dir/agent.log" >&2; exit 1; }
    read -rt 0.02 <> <(:) || true
  done
}

case $1 in
  start) pod_start "$3" ;;
  stop) POD_GROUP="" pod_crun delete --force "$pod_id" ;;
  process) POD_GROUP="" pod_crun state "$pod_id" | python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])' ;;
  *) exit 2 ;;
esac
