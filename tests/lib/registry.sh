#!/bin/bash
# A schema registry for tests: Apicurio 3.0.9 on loopback, Confluent's REST API on it, HTTP and HTTPS, everything in memory.
#
#   registry.sh start FOLDER [PORT]   prints REGISTRY=URL and REGISTRY_TLS=URL; FOLDER/ca.pem signed the certificate
#   registry.sh stop FOLDER           ends it at once, as a crash does
#
# The program is fetched by maven once and kept in ~/.cache/shoal, with a class archive that makes a start three times faster.
set -euo pipefail
version=3.0.9
cache=${XDG_CACHE_HOME:-$HOME/.cache}/shoal
home=$cache/apicurio-registry-$version
tarball=$cache/apicurio-registry-app-$version-all.tar.gz
java=(java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1)
deadline=120 # seconds for a start

free_port () {
  # Below the range that outgoing connections take.
  local port
  while true; do
    port=$((15000 + RANDOM % 17000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo $port
}

is_running () {
  [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

certificates () { # FOLDER
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=shoal-test-ca \
    -keyout "$1/ca.key" -out "$1/ca.pem" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -keyout "$1/server.key" -out "$1/server.csr" 2>/dev/null
  openssl x509 -req -in "$1/server.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 2 \
    -extfile <(echo subjectAltName=IP:127.0.0.1,DNS:localhost) -out "$1/server.pem" 2>/dev/null
}

# launch FOLDER PORT TLS_PORT JAVA-OPTION… : starts it and waits until both ports answer.
launch () {
  local folder=$1 port=$2 tls=$3 pid end=$((SECONDS + deadline))
  shift 3
  (
    cd "$home"
    exec env QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT="$port" QUARKUS_LOG_LEVEL=WARN \
      QUARKUS_HTTP_SSL_CERTIFICATE_FILES="$folder/server.pem" QUARKUS_HTTP_SSL_CERTIFICATE_KEY_FILES="$folder/server.key" \
      QUARKUS_HTTP_SSL_PORT="$tls" QUARKUS_HTTP_INSECURE_REQUESTS=enabled \
      setsid "${java[@]}" "$@" -jar ./*-runner.jar
  ) >"$folder/log" 2>&1 </dev/null &
  pid=$!
  echo $pid >"$folder/pid"
  until curl -sf -o /dev/null "http://127.0.0.1:$port/apis/ccompat/v7/subjects" \
      && curl -sf -o /dev/null --cacert "$folder/ca.pem" "https://127.0.0.1:$tls/apis/ccompat/v7/subjects"; do
    if ! is_running $pid || [ $SECONDS -ge $end ]; then
      echo "registry.sh: it doesn't start:" >&2
      tail -n 20 "$folder/log" >&2
      kill -KILL $pid 2>/dev/null || true
      return 1
    fi
    sleep 0.05
  done
}

fetch () {
  mkdir -p "$cache"
  exec 9>"$cache/registry.lock"
  flock 9
  [ -f "$home/app.jsa" ] && return
  local work
  work=$(mktemp -d)
  if [ ! -f "$tarball" ]; then
    mvn -q -B dependency:copy -Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all -DoutputDirectory="$work" >&2
    mv "$work"/apicurio-registry-app-*-all.tar.gz "$tarball"
  fi
  rm -rf "$home"
  mkdir -p "$home"
  tar xzf "$tarball" -C "$home"
  certificates "$work"
  launch "$work" "$(free_port)" "$(free_port)" -XX:ArchiveClassesAtExit=app.jsa.new
  kill -TERM "$(cat "$work/pid")"
  while is_running "$(cat "$work/pid")"; do sleep 0.1; done
  mv "$home/app.jsa.new" "$home/app.jsa"
  rm -rf "$work"
}

start () { # FOLDER [PORT]
  local port=${2:-} tls
  mkdir -p "$1"
  folder=$(realpath "$1")
  ( fetch )
  [ -f "$folder/ca.pem" ] || certificates "$folder"
  [ -n "$port" ] || port=$(free_port)
  tls=$(free_port)
  launch "$folder" "$port" "$tls" -XX:SharedArchiveFile=app.jsa
  echo "REGISTRY=http://127.0.0.1:$port/apis/ccompat/v7"
  echo "REGISTRY_TLS=https://127.0.0.1:$tls/apis/ccompat/v7"
}

stop () { # FOLDER
  local pid
  pid=$(cat "$1/pid")
  kill -KILL "$pid" 2>/dev/null || true
  while is_running "$pid"; do sleep 0.02; done
}

case ${1:-} in
  start) start "$2" "${3:-}" ;;
  stop) stop "$2" ;;
  *) sed -n '2,7p' "$0" >&2; exit 2 ;;
esac
