#!/bin/bash
# A real Kubernetes of one node, with KEDA, on this machine, for tests: API server, kubelet, containerd, pods with addresses, Services. As root; no image registry.
#
#   node.sh build [helm]          only makes the programs: a quarter of an hour of two cores, once per version (helm: 3 minutes)
#   node.sh up                    starts what doesn't run yet; prints the lines to eval
#   node.sh keda                  KEDA's operator and metrics server on it
#   node.sh load LAYOUT NAME      an OCI layout (deploy/images) as the image NAME: imagePullPolicy Never; prints NAME:latest@DIGEST
#   node.sh exec COMMAND…         in the node's network, with kubectl and helm: who serves pods is started by this
#   node.sh kubectl …, helm …     the same
#   node.sh down                  ends all and removes it
#
# --dir DIR before the command: which node; all about it is below DIR. The node has a network namespace of its own: its ports are never taken, the
# machine's network isn't touched, and pods reach nothing but the node (10.97.0.1), each other and Services. There is no DNS: Services go by address.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../process.sh"
. "$HERE/../go.sh"
. "$HERE/programs.sh"
. "$HERE/parts.sh"

say () { echo "node.sh: $*" >&2; }
die () { say "$*"; exit 1; }
usage () { sed -n '2,13s/^# \?//p' "$0" >&2; exit 2; }

DIR=${XDG_RUNTIME_DIR:-/tmp}/shoal-node-$(id -u)
if [ "${1-}" = --dir ]; then
  [ -n "${2-}" ] || usage
  DIR=$2
  shift 2
fi
[ $# -gt 0 ] || usage
DIR=$(realpath -m "$DIR")
NETWORK=shoal-$(sha256sum <<< "$DIR" | cut -c 1-10)
export KUBECONFIG=$DIR/kubeconfig
PATH=$(home_of kubernetes):$(home_of helm):$PATH

inside () { nsenter "--net=/run/netns/$NETWORK" "$@"; }
need_node () { [ -e "/run/netns/$NETWORK" ] || die "there is no node in $DIR: node.sh up"; }
need_root () { [ "$(id -u)" -eq 0 ] || die "$1 needs root"; }

wait_ready () { # NAME COMMAND…
  local name=$1 end=$((SECONDS + 120))
  shift
  until "$@" >/dev/null 2>&1; do
    process_pid "$DIR/$name.pid" >/dev/null || die "$name ended: $(tail -n 5 "$DIR/$name.log")"
    [ $SECONDS -lt $end ] || die "$name isn't ready after 120 s: $(tail -n 5 "$DIR/$name.log")"
    sleep 0.1
  done
}

start_part () { # NAME COMMAND…
  local name=$1
  shift
  process_pid "$DIR/$name.pid" >/dev/null || (cd "$DIR" && process_spawn "$DIR/$name.pid" "$DIR/$name.log" nsenter "--net=/run/netns/$NETWORK" "$@")
}

up () {
  need_root up
  make_programs kubernetes
  make_programs helm
  for program in etcd containerd ctr runc openssl busybox ip iptables; do
    command -v "$program" >/dev/null || die "$program isn't there: tools/install.sh kubernetes installs it"
  done
  mkdir -p "$DIR"
  make_network
  make_secrets
  configure
  start_part etcd etcd --data-dir "$DIR/etcd"
  start_api
  wait_ready api api_ready
  start_controllers
  start_part containerd containerd --config "$DIR/containerd.toml"
  wait_ready containerd ctr -a "$DIR/containerd.sock" version
  images_of_the_node
  start_kubelet
  wait_ready kubelet node_ready
  echo "export KUBECONFIG=$KUBECONFIG"
}

keda () {
  need_node
  make_programs keda
  start_keda
  wait_ready adapter keda_ready
}

load () { # LAYOUT NAME; prints NAME:latest@DIGEST
  local digest
  need_node
  digest=$(sed -nE 's/.*"manifests":\[\{[^}]*"digest":"(sha256:[0-9a-f]{64})".*/\1/p' "$1/index.json")
  [ -n "$digest" ] || die "$1: no OCI layout of one image"
  # manifest.json would make it a Docker archive, in which the digest is another.
  tar -C "$1" --exclude=./manifest.json -cf - . | ctr -a "$DIR/containerd.sock" -n k8s.io images import --base-name "$2" - >/dev/null
  ctr -a "$DIR/containerd.sock" -n k8s.io images tag --force "$2:latest" "$2@$digest" >/dev/null
  echo "$2:latest@$digest"
}

command=$1
shift
case $command in
  build) make_programs helm; [ "${1-}" = helm ] || { make_programs kubernetes; make_programs keda; } ;;
  up) up ;;
  keda) keda ;;
  load) [ $# -eq 2 ] || usage; load "$@" ;;
  exec) need_node; inside "$@" ;;
  kubectl | helm) need_node; inside "$command" "$@" ;;
  down) down ;;
  *) usage ;;
esac
