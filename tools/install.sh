#!/bin/bash
# Installs the Debian packages for what shoal is used for, those that are missing only: a second call is instant and needs no network.
#
#   tools/install.sh build|run|image|kafka|test|bench …
#
# As root, or as a user with sudo.
set -euo pipefail

packages_for () {
  case $1 in
    build) echo gcc libc6-dev cmake ninja-build pkg-config libavro-dev libsqlite3-dev libjansson-dev libssl-dev libseccomp-dev librdkafka-dev ;;
    run) echo crun runc umoci skopeo ;;
    image) echo mmdebstrap busybox-static ;;
    kafka) echo openjdk-17-jre-headless maven kcat librdkafka-dev ;;
    photos) echo python3 python3-pil ;;
    test) echo libcmocka-dev clang libclang-rt-14-dev llvm clang-format valgrind python3 python3-pil python3-jsonschema \
               sqlite3 tmux procps util-linux ;;
    bench) echo fd-find parallel hyperfine time procps python3 ;;
    *) return 1 ;;
  esac
}

if [ $# -eq 0 ]; then
  sed -n '2,6s/^# \?//p' "$0" >&2
  exit 2
fi
wanted=()
for purpose in "$@"; do
  if ! names=$(packages_for "$purpose"); then
    echo "tools/install.sh: $purpose: not one of build, run, image, kafka, photos, test, bench" >&2
    exit 2
  fi
  read -ra names <<< "$names"
  wanted+=("${names[@]}")
done

missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=absent
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "tools/install.sh: these packages are missing, and installing them needs root or sudo: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -qq "${missing[@]}")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Package lists that are there already may do; on a fresh machine there are none, or old ones.
if ! "${install[@]}" >"$log" 2>&1; then
  "${as_root[@]}" apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
  "${install[@]}" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
