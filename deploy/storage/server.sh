#!/bin/bash
# Storage servers for development and tests, on loopback: MinIO (S3), nginx (HTTP) and kubo (IPFS, offline); and versitygw, a second S3.
#
#   server.sh start minio|versitygw|nginx|ipfs FOLDER     unless it runs; prints what to set, for `eval`
#   server.sh stop  minio|versitygw|nginx|ipfs FOLDER     ends it at once, as a crash does; the next start has the same address and data
#   server.sh build minio|ipfs                  only makes the program
#
# SHOAL_SERVER_ADDRESS: where MinIO and versitygw listen, instead of 127.0.0.1.
# What isn't a package of Debian's is built from its Go module once and kept in ~/.cache/shoal (three minutes each).
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../process.sh"
. "$HERE/../go.sh"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/shoal
minio=v0.0.0-20260212201848-7aac2a2c5b7c
kubo=v0.39.0
versitygw=v1.8.0
swiss=v0.0.0-20260820225851-333444432258 # kubo's own choice of cockroachdb/swiss doesn't build with Go 1.26
deadline=60   # seconds for a start
address=${SHOAL_SERVER_ADDRESS:-127.0.0.1}

die () {
  echo "server.sh: $*" >&2
  exit 1
}

# ---- programs
# `set -e` holds in none of the builds, whose failure is asked for: each step that can fail is chained.

build_minio () { # FOLDER
  GOBIN=$1 go install "github.com/minio/minio@$minio"
}

build_versitygw () { # FOLDER
  GOBIN=$1 go install "github.com/versity/versitygw/cmd/versitygw@$versitygw"
}

build_ipfs () ( # FOLDER
  work=$(mktemp -d) || exit
  trap 'rm -rf "$work"' EXIT
  cd "$work" \
    && printf 'module tools\ngo 1.25\nrequire github.com/ipfs/kubo %s\n' "$kubo" >go.mod \
    && printf '//go:build tools\npackage tools\nimport _ "github.com/ipfs/kubo/cmd/ipfs"\n' >tools.go \
    && go mod tidy \
    && go get "github.com/cockroachdb/swiss@$swiss" \
    && go build -o "$1/ipfs" github.com/ipfs/kubo/cmd/ipfs
)

# The path of the program NAME, made if it isn't there.
program () { # minio|ipfs
  local version home
  case $1 in minio) version=$minio ;; versitygw) version=$versitygw ;; ipfs) version=$kubo ;; esac
  home=$cache/$1-$version
  if [ ! -x "$home/$1" ]; then
    mkdir -p "$cache"
    (
      flock 9
      [ ! -x "$home/$1" ] || exit 0
      use_go || die "Go couldn't be fetched"
      rm -rf "$home.part"
      mkdir "$home.part"
      { "build_$1" "$home.part" && [ -x "$home.part/$1" ]; } >"$home.log" 2>&1 9>&- \
        || { tail -n 20 "$home.log" >&2; die "$1 couldn't be built, see $home.log"; }
      rm -rf "$home"
      mv -T "$home.part" "$home"
    ) 9>"$home.lock"
  fi
  echo "$home/$1"
}

# ---- servers: each with launch_NAME FOLDER PORT… and says_NAME FOLDER PORT…, the URL that answers when it is up comes first

launch_minio () { # FOLDER PORT PORT
  local server
  server=$(program minio)
  process_spawn "$1/pid" "$1/log" env MINIO_ROOT_USER=test MINIO_ROOT_PASSWORD=testsecret MINIO_BROWSER=off MINIO_UPDATE=off \
    "$server" server "$1/data" --address "$address:$2" --quiet
}
url_minio () { echo "http://$address:$2/minio/health/ready"; }
say_minio () {
  echo "export AWS_ENDPOINT_URL=http://$address:$2 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testsecret"
}

launch_versitygw () { # FOLDER PORT PORT
  local server
  server=$(program versitygw)
  mkdir -p "$1/data"
  process_spawn "$1/pid" "$1/log" env ROOT_ACCESS_KEY=test ROOT_SECRET_KEY=testsecret \
    "$server" --port "$address:$2" --health /ready posix "$1/data"
}
url_versitygw () { echo "http://$address:$2/ready"; }
say_versitygw () { say_minio "$@"; }

launch_nginx () { # FOLDER PORT PORT
  command -v nginx >/dev/null || die "nginx isn't there: tools/install.sh storage installs it"
  mkdir -p "$1/data" "$1/run"
  # The folder is served as it is, listed as HTML and listed as JSON; below /local/ as HTML with another zone's times and sizes in K and M.
  cat >"$1/nginx.conf" <<CONF
daemon off;
master_process off;
pid $1/run/nginx.pid;
error_log $1/log warn;
events {}
http {
  access_log off;
  types { application/json json; text/html html; text/plain txt list; application/x-ndjson jsonl; }
  default_type application/octet-stream;
  client_body_temp_path $1/run; proxy_temp_path $1/run; fastcgi_temp_path $1/run; uwsgi_temp_path $1/run; scgi_temp_path $1/run;
  server {
    listen 127.0.0.1:$2;
    location = /ready { return 204; }
    location /html/ { alias $1/data/; autoindex on; }
    location /json/ { alias $1/data/; autoindex on; autoindex_format json; }
    location /local/ { alias $1/data/; autoindex on; autoindex_localtime on; autoindex_exact_size off; }
    location /files/ { alias $1/data/; }
    location /named/ { alias $1/data/; add_header Content-Disposition 'attachment; filename="x.jpg"; filename*=UTF-8\'\'n%C3%A4med.jpg'; }
    location /moved/ { rewrite ^/moved/(.*)\$ /html/\$1 redirect; }
    location /private/ { alias $1/data/; autoindex on; auth_basic files; auth_basic_user_file $1/users; }
  }
}
CONF
  echo 'me:{PLAIN}secret' >"$1/users"
  TZ='<+0545>-5:45' process_spawn "$1/pid" "$1/log" nginx -p "$1/run" -c "$1/nginx.conf"
}
url_nginx () { echo "http://127.0.0.1:$2/ready"; }
say_nginx () {
  echo "export SHOAL_TEST_HTTP=http://127.0.0.1:$2 SHOAL_TEST_HTTP_ROOT=$1/data"
}

launch_ipfs () { # FOLDER PORT PORT
  local server
  server=$(program ipfs)
  export IPFS_PATH=$1/repo
  if [ ! -d "$IPFS_PATH" ]; then
    "$server" init --profile=test,server >>"$1/log" 2>&1
    "$server" config Addresses.API "/ip4/127.0.0.1/tcp/$2"
    "$server" config Addresses.Gateway "/ip4/127.0.0.1/tcp/$3"
  fi
  process_spawn "$1/pid" "$1/log" "$server" daemon --offline
}
url_ipfs () { echo "http://127.0.0.1:$3/ipfs/bafkqaaa"; } # the empty file, which every node has
say_ipfs () {
  echo "export SHOAL_IPFS_API=http://127.0.0.1:$2 SHOAL_IPFS_GATEWAY=http://127.0.0.1:$3"
}

start () { # NAME FOLDER
  local name=$1 folder ports end
  folder=$(realpath -m "$2")
  mkdir -p "$folder"
  [ -f "$folder/ports" ] || free_ports 2 >"$folder/ports"
  read -ra ports <"$folder/ports"
  if ! process_pid "$folder/pid" >/dev/null; then
    "launch_$name" "$folder" "${ports[@]}" # may take minutes the first time: it builds
    end=$((SECONDS + deadline))
    until curl -sf -o /dev/null "$("url_$name" "$folder" "${ports[@]}")"; do
      if ! process_pid "$folder/pid" >/dev/null || [ $SECONDS -ge $end ]; then
        tail -n 20 "$folder/log" >&2
        process_kill "$folder/pid"
        die "$name doesn't start, see $folder/log"
      fi
      sleep 0.05
    done
  fi
  "say_$name" "$folder" "${ports[@]}"
}

case ${1:-} in
  start | stop)
    case ${2:-} in minio | versitygw | nginx | ipfs) ;; *) die "${2:-nothing}: it is minio, versitygw, nginx or ipfs" ;; esac
    [ -n "${3:-}" ] || die "$1 $2: a folder is wanted"
    if [ "$1" = start ]; then start "$2" "$3"; else process_kill "$(realpath -m "$3")/pid"; fi
    ;;
  build)
    case ${2:-} in minio | ipfs) program "$2" >/dev/null ;; *) die "build ${2:-nothing}: it is minio or ipfs" ;; esac
    ;;
  *) sed -n '2,9s/^# \?//p' "$0" >&2; exit 2 ;;
esac
