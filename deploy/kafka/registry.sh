#!/bin/bash
# A schema registry for development and tests: Apicurio 3.0.9 on loopback, Confluent's REST API on it, HTTP and HTTPS, everything in memory.
#
#   registry.sh start FOLDER    unless it runs; prints REGISTRY=URL and REGISTRY_TLS=URL; FOLDER/ca.pem signed the certificate
#   registry.sh stop FOLDER     ends it at once, as a crash does; the next start has the same URLs
#
# The program is fetched by maven once and kept in ~/.cache/shoal, with a class archive that makes a start three times faster.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../process.sh"
. "$HERE/certificates.sh"
version=3.0.9
cache=${XDG_CACHE_HOME:-$HOME/.cache}/shoal
home=$cache/apicurio-registry-$version
tarball=$cache/apicurio-registry-app-$version-all.tar.gz
java=(java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1)
path=apis/ccompat/v7
deadline=120 # seconds for a start

# FOLDER's ports, certificates and URLs, made once.
prepare () { # FOLDER
  [ ! -f "$1/urls" ] || return 0
  mkdir -p "$1"
  make_certificates "$1" server
  local ports
  read -ra ports <<< "$(free_ports 2)"
  echo "${ports[@]}" >"$1/ports"
  printf '%s\n' "REGISTRY=http://127.0.0.1:${ports[0]}/$path" "REGISTRY_TLS=https://127.0.0.1:${ports[1]}/$path" >"$1/urls"
}

answers () { # FOLDER PORT TLS_PORT
  curl -sf -o /dev/null "http://127.0.0.1:$2/$path/subjects" \
    && curl -sf -o /dev/null --cacert "$1/ca.pem" "https://127.0.0.1:$3/$path/subjects"
}

# Starts it and waits until both ports answer.
launch () { # FOLDER JAVA-OPTION…
  local folder=$1 ports end=$((SECONDS + deadline))
  shift
  read -ra ports <"$folder/ports"
  (
    cd "$home"
    process_spawn "$folder/pid" "$folder/log" env QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT="${ports[0]}" QUARKUS_LOG_LEVEL=WARN \
      QUARKUS_HTTP_SSL_CERTIFICATE_FILES="$folder/server.pem" QUARKUS_HTTP_SSL_CERTIFICATE_KEY_FILES="$folder/server.key" \
      QUARKUS_HTTP_SSL_PORT="${ports[1]}" QUARKUS_HTTP_INSECURE_REQUESTS=enabled "${java[@]}" "-Djava.io.tmpdir=$folder" "$@" -jar ./*-runner.jar
  )
  until answers "$folder" "${ports[@]}"; do
    if ! process_pid "$folder/pid" >/dev/null || [ $SECONDS -ge $end ]; then
      echo "registry.sh: it doesn't start:" >&2
      tail -n 20 "$folder/log" >&2
      process_kill "$folder/pid"
      return 1
    fi
    sleep 0.05
  done
}

fetch () (
  mkdir -p "$cache"
  exec 9>"$cache/registry.lock"
  flock 9
  [ ! -f "$home/app.jsa" ] || return 0
  work=$(mktemp -d)
  trap 'process_kill "$work/pid"; rm -rf "$work"' EXIT
  if [ ! -f "$tarball" ]; then
    mvn -q -B dependency:copy -Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all -DoutputDirectory="$work" >&2
    mv "$work"/apicurio-registry-app-*-all.tar.gz "$tarball"
  fi
  rm -rf "$home"
  mkdir -p "$home"
  tar xzf "$tarball" -C "$home"
  prepare "$work"
  launch "$work" -XX:ArchiveClassesAtExit=app.jsa.new
  process_signal "$work/pid" TERM
  wait_until_gone 60 "$work/pid"
  mv "$home/app.jsa.new" "$home/app.jsa"
)

start () { # FOLDER
  local folder
  folder=$(realpath -m "$1")
  fetch
  prepare "$folder"
  process_pid "$folder/pid" >/dev/null || launch "$folder" -XX:SharedArchiveFile=app.jsa
  cat "$folder/urls"
}

case ${1:-} in
  start) start "$2" ;;
  stop) process_kill "$2/pid" ;;
  *) sed -n '2,7s/^# \?//p' "$0" >&2; exit 2 ;;
esac
