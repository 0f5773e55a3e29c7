#!/bin/bash
# A real Kafka on this machine for development and tests: 127.0.0.1, free ports, no root, nothing installed but Java, Maven and kcat.
#
#   dev.sh start [OPTION…]        starts what doesn't run yet; prints the lines to eval
#   dev.sh status                 what runs, where, what each node says; 0 when all is ready
#   dev.sh kill N | restart N     a node dies at once | (dies and) starts again
#   dev.sh pause N | cont N       a node stops answering | goes on
#   dev.sh stop                   ends all; the data stays for the next start
#   dev.sh clean                  the same, and removes the data
#
# --dir DIR: which cluster, everything about it is below DIR. KAFKA_VERSION: 4.4.0, fetched once. Of `start`:
#
#   --nodes 1|3                   brokers
#   --address A                   where they listen, instead of 127.0.0.1
#   --sasl                        listeners for TLS with a password (PLAIN, SCRAM) and for mTLS, DIR/client-*.properties for clients
#   --acl                         the same, and nobody may do anything that isn't granted him: DIR/client-USER.properties for a user of each
#                                 part (producer, worker, merger, …), who has no grants yet. The port without a password is the administrator's
#   --registry                    a schema registry as well
#   --proxy-port P                for tests: a listener that is reached through somebody who listens on port P (node 2: P+1, …)
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../process.sh"
. "$HERE/fetch.sh"
. "$HERE/certificates.sh"
. "$HERE/secure.sh"
. "$HERE/node.sh"

say () { echo "dev.sh: $*" >&2; }
die () { say "$*"; exit 1; }
usage () { sed -n '2,19s/^# \?//p' "$0" >&2; exit 2; }

DIR=${XDG_RUNTIME_DIR:-/tmp}/shoal-kafka-$(id -u)
NODES=
ADDRESS=
SASL=
ACL=
PROXY_PORT=
REGISTRY=
use_version "${KAFKA_VERSION:-4.4.0}"

read_options () {
  while [ $# -gt 0 ]; do
    case $1 in
      --nodes) [[ ${2-} = [13] ]] || usage; NODES=$2; shift 2 ;;
      --address) [[ ${2-} =~ ^[0-9.]+$ ]] || usage; ADDRESS=$2; shift 2 ;;
      --sasl) SASL=1; shift ;;
      --acl) SASL=1 ACL=1; shift ;;
      --registry) REGISTRY=1; shift ;;
      --proxy-port) [[ ${2-} =~ ^[1-9][0-9]*$ ]] || usage; PROXY_PORT=$2; shift 2 ;;
      --dir) [ -n "${2-}" ] || usage; DIR=$2; shift 2 ;;
      *) usage ;;
    esac
  done
}

# Settings of a cluster are those it was made with: NODES VERSION SASL PROXY_PORT ACL ADDRESS.
load_cluster () {
  local nodes version sasl proxy_port acl address
  read -r nodes version sasl proxy_port acl address 2>/dev/null <"$DIR/cluster" || die "there is no Kafka in $DIR: dev.sh start"
  acl=${acl:-0} address=${address:-127.0.0.1}
  [ "${NODES:-$nodes}:${SASL:-$sasl}:${PROXY_PORT:-$proxy_port}:${ACL:-$acl}:${ADDRESS:-$address}" = "$nodes:$sasl:$proxy_port:$acl:$address" ] \
    || die "$DIR was made with other options: dev.sh clean removes it, --dir takes another place"
  NODES=$nodes SASL=$sasl PROXY_PORT=$proxy_port ACL=$acl ADDRESS=$address
  use_version "$version"
  load_ports
}

need_node () { # N
  [[ ${1-} = [1-9] ]] && [ "$1" -le "$NODES" ] || die "which node? 1 to $NODES"
}

start_all () {
  local n
  need_programs kafka java kcat
  if [ -f "$DIR/cluster" ]; then
    load_cluster
  else
    NODES=${NODES:-1} SASL=${SASL:-0} PROXY_PORT=${PROXY_PORT:-0} ACL=${ACL:-0} ADDRESS=${ADDRESS:-127.0.0.1}
    fetch_kafka
    rm -rf "$DIR"/[1-9]
    create_cluster
    echo "$NODES $KAFKA_VERSION $SASL $PROXY_PORT $ACL $ADDRESS" >"$DIR/cluster"
  fi
  fetch_kafka
  for ((n = 1; n <= NODES; n++)); do start_node "$n"; done
  wait_ready $(seq "$NODES")
  print_exports
}

print_exports () {
  local said
  if [ "$SASL" = 1 ]; then
    echo "export SHOAL_BUS=kafka://$(addresses $SASL_SSL)"
    echo "export SHOAL_KAFKA_CONFIG=$DIR/client-plain.properties"
    echo "export SHOAL_BUS_MTLS=kafka://$(addresses $MTLS)"
    [ "$ACL" = 0 ] || echo "export SHOAL_BUS_ADMIN=kafka://$(addresses $PLAINTEXT)"
    say "also for SHOAL_KAFKA_CONFIG: $DIR/client-scram.properties, and client-mtls.properties with SHOAL_BUS=\$SHOAL_BUS_MTLS"
  else
    echo "export SHOAL_BUS=kafka://$(addresses $PLAINTEXT)"
  fi
  [ "$PROXY_PORT" = 0 ] || echo "export SHOAL_PROXIED=$(addresses $PROXIED)"
  if [ -n "$REGISTRY" ] || [ -d "$DIR/registry" ]; then
    said=$("$HERE/registry.sh" start "$DIR/registry" 9>&-)
    sed -n 's/^REGISTRY=/export SHOAL_SCHEMA_REGISTRY=/p' <<< "$said"
  fi
}

show_status () {
  local n pid known result=0
  for ((n = 1; n <= NODES; n++)); do
    if pid=$(process_pid "$DIR/$n/pid"); then
      known=$(brokers_by_node "$n" | paste -sd ' ')
      node_ready "$n" || result=1
      echo "node $n: pid $pid, $(node_address "$n" $PLAINTEXT), knows nodes: ${known:-none, no answer}"
    else
      echo "node $n: not running"
      result=1
    fi
  done
  if [ -d "$DIR/registry" ]; then
    if pid=$(process_pid "$DIR/registry/pid"); then
      echo "registry: pid $pid, $(sed -n 's/^REGISTRY=//p' "$DIR/registry/urls")"
    else
      echo "registry: not running"
      result=1
    fi
  fi
  return $result
}

[ $# -gt 0 ] || usage
command=$1
shift
node=
case $command in kill | restart | pause | cont) node=${1-}; [ $# -eq 0 ] || shift ;; esac
read_options "$@"
umask 077
mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
exec 9>"$DIR/lock"
flock 9

case $command in
  start) start_all ;;
  status) load_cluster; show_status ;;
  kill) load_cluster; need_node "$node"; process_kill "$DIR/$node/pid" ;;
  restart) load_cluster; need_node "$node"; process_kill "$DIR/$node/pid"; start_node "$node"; wait_ready "$node" ;;
  pause) load_cluster; need_node "$node"; process_signal "$DIR/$node/pid" STOP ;;
  cont) load_cluster; need_node "$node"; process_signal "$DIR/$node/pid" CONT ;;
  stop) stop_all ;;
  clean) stop_all; rm -rf "$DIR" ;;
  *) usage ;;
esac
