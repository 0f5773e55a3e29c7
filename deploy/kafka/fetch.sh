# fetch.sh — Kafka's jars in a cache folder, once per version. To be sourced.
#
# $KAFKA_HOME/jars comes from Maven Central and appears whole or not at all; $KAFKA_HOME/classes.jsa is the JVM's archive of loaded
# classes, which takes two seconds off each start. Two starts at once: one fetches, the other waits (descriptor 8 is the lock).
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/shoal

use_version () { # VERSION
  KAFKA_VERSION=$1
  KAFKA_HOME=$CACHE/kafka-$1
  JAVA=(java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError -cp "$KAFKA_HOME/jars/*"
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true
        -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS)
}

need_programs () { # GROUP PROGRAM…
  local group=$1 program
  shift
  for program; do
    command -v "$program" >/dev/null || die "$program isn't there: tools/install.sh $group installs it"
  done
}

fetch_jars () {
  local part=$KAFKA_HOME.part
  say "fetching Kafka $KAFKA_VERSION into $KAFKA_HOME"
  rm -rf "$part"
  mvn -q -B -f "$HERE/pom.xml" "-Dkafka.version=$KAFKA_VERSION" dependency:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$part/jars" >&2 8>&- 9>&- || die "Kafka $KAFKA_VERSION couldn't be fetched"
  mv "$part" "$KAFKA_HOME"
}

# A node that is started only to write down which classes it loaded.
make_archive () (
  DIR=$(mktemp -d)
  trap 'stop_all; rm -rf "$DIR"' EXIT
  NODES=1 SASL=0 PROXY_PORT=0 ADDRESS=127.0.0.1
  create_cluster
  spawn_node 1 "-XX:ArchiveClassesAtExit=$KAFKA_HOME/classes.part"
  wait_ready 1
  process_signal "$DIR/1/pid" TERM
  wait_until_gone 60 "$DIR/1/pid" || die "the JVM didn't write its archive: $(tail -n 3 "$DIR/1/log")"
  mv "$KAFKA_HOME/classes.part" "$KAFKA_HOME/classes.jsa"
)

fetch_kafka () {
  [ ! -f "$KAFKA_HOME/classes.jsa" ] || return 0
  need_programs kafka java mvn kcat
  mkdir -p "$CACHE"
  exec 8>"$KAFKA_HOME.lock"
  flock 8
  [ -d "$KAFKA_HOME" ] || fetch_jars
  [ -f "$KAFKA_HOME/classes.jsa" ] || make_archive
  exec 8>&-
}
