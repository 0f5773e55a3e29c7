# node.sh — the nodes of one cluster below $DIR: their configuration, start, readiness. To be sourced.
#
# Each of the $NODES nodes is broker and controller. $DIR/N/ has server.properties, data/, log and pid of node N.
# $ADDRESS: where they listen. $SASL=1: with the listeners of secure.sh. $PROXY_PORT: node N has a listener whose clients are told to come to port PROXY_PORT + N - 1.

PLAINTEXT=0 CONTROLLER=1 SASL_SSL=2 MTLS=3 PROXIED=4 # a node's ports, in this order
LISTENERS=5

load_ports () {
  read -ra PORTS <"$DIR/ports"
}

node_address () { # N LISTENER
  echo "$ADDRESS:${PORTS[($1 - 1) * LISTENERS + $2]}"
}

addresses () { # LISTENER: of all nodes, with commas
  local n list=
  for ((n = 1; n <= NODES; n++)); do list+=,$(node_address "$n" "$1"); done
  echo "${list#,}"
}

voters () {
  local n list=
  for ((n = 1; n <= NODES; n++)); do list+=,$n@$(node_address "$n" $CONTROLLER); done
  echo "${list#,}"
}

# What a test can't wait for is short (groups, compaction, the fencing of a killed node), what a laptop hasn't got is small.
node_properties () { # N
  local n=$1 in_sync=$((NODES > 1 ? NODES - 1 : 1)) listeners advertised
  listeners=PLAINTEXT://$(node_address "$n" $PLAINTEXT)
  [ "$SASL" = 0 ] || listeners+=,SASL://$(node_address "$n" $SASL_SSL),MTLS://$(node_address "$n" $MTLS)
  advertised=$listeners
  if [ "$PROXY_PORT" -gt 0 ]; then
    listeners+=,PROXIED://$(node_address "$n" $PROXIED)
    advertised+=,PROXIED://127.0.0.1:$((PROXY_PORT + n - 1))
  fi
  cat <<END
process.roles=broker,controller
node.id=$n
controller.quorum.voters=$(voters)
listeners=$listeners,CONTROLLER://$(node_address "$n" $CONTROLLER)
advertised.listeners=$advertised
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL,PROXIED:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$DIR/$n/data
auto.create.topics.enable=false
default.replication.factor=$NODES
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$NODES
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=$NODES
transaction.state.log.min.isr=$in_sync
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$NODES
share.coordinator.state.topic.min.isr=$in_sync
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=4194304
num.io.threads=2
num.network.threads=1
background.threads=2
END
  [ "$SASL" = 0 ] || secure_properties
  [ "$ACL" = 0 ] || acl_properties
}

# 22 characters of base64url, never a '-' in front: the storage tool would take it for an option.
random_id () {
  head -c 16 /dev/urandom | base64 | tr +/ ab | cut -c 1-22
}

configure_nodes () {
  local n
  free_ports $((NODES * LISTENERS)) >"$DIR/ports"
  load_ports
  for ((n = 1; n <= NODES; n++)); do
    mkdir -p "$DIR/$n"
    node_properties "$n" >"$DIR/$n/server.properties"
  done
}

# Formatting takes a JVM a second: the other nodes get a copy of the first one's, under their own number.
format_nodes () {
  local n archive=() users=()
  [ ! -f "$KAFKA_HOME/classes.jsa" ] || archive=("-XX:SharedArchiveFile=$KAFKA_HOME/classes.jsa")
  if [ "$SASL" = 1 ]; then
    scram_users >"$DIR/1/users"
    users=("@$DIR/1/users")
  fi
  "${JAVA[@]}" "${archive[@]}" kafka.tools.StorageTool format -t "$(random_id)" -c "$DIR/1/server.properties" "${users[@]}" \
    >"$DIR/1/log" 2>&1 8>&- 9>&- || die "the storage of node 1 can't be formatted: $(tail -n 3 "$DIR/1/log")"
  rm -f "$DIR/1/users"
  for ((n = 2; n <= NODES; n++)); do
    cp -r "$DIR/1/data" "$DIR/$n/data"
    sed -i "s/^node.id=.*/node.id=$n/; s/^directory.id=.*/directory.id=$(random_id)/" "$DIR/$n/data/meta.properties"
  done
}

create_cluster () {
  [ "$SASL" = 0 ] || make_secrets
  configure_nodes
  format_nodes
}

spawn_node () { # N JVM-OPTION…
  local n=$1
  shift
  process_spawn "$DIR/$n/pid" "$DIR/$n/log" "${JAVA[@]}" "-Djava.io.tmpdir=$DIR/$n" -Xms64m "$@" kafka.Kafka "$DIR/$n/server.properties"
}

start_node () { # N; wakes it when it is paused
  process_signal "$DIR/$1/pid" CONT
  process_pid "$DIR/$1/pid" >/dev/null || spawn_node "$1" "-XX:SharedArchiveFile=$KAFKA_HOME/classes.jsa"
}

# The brokers that node N itself knows, their numbers one a line. Others may still list a node that was killed.
brokers_by_node () { # N
  kcat -b "$(node_address "$1" $PLAINTEXT)" -X log_level=0 -L -m 1 2>/dev/null | sed -n 's/^  broker \([0-9]*\) at .*/\1/p'
}

running_nodes () {
  local n
  for ((n = 1; n <= NODES; n++)); do
    ! process_pid "$DIR/$n/pid" >/dev/null || echo "$n"
  done
}

# Every running node knows every running node.
node_ready () { # N
  local known other
  known=$(brokers_by_node "$1") || return 1
  for other in $(running_nodes); do
    grep -qx "$other" <<< "$known" || return 1
  done
}

wait_ready () { # N…
  local n end=$((SECONDS + 60))
  for n; do
    until node_ready "$n"; do
      process_pid "$DIR/$n/pid" >/dev/null || die "node $n ended: $(tail -n 5 "$DIR/$n/log")"
      [ $SECONDS -lt $end ] || die "node $n isn't ready after 60 s: $(tail -n 5 "$DIR/$n/log")"
      sleep 0.03
    done
  done
}

# At once and without a goodbye: a last node waits five minutes for a controller before it ends on TERM.
stop_all () {
  local pidfile
  for pidfile in "$DIR"/*/pid; do
    process_signal "$pidfile" KILL
  done
  for pidfile in "$DIR"/*/pid; do
    process_kill "$pidfile"
  done
}
