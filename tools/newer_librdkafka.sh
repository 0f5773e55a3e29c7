#!/bin/bash
# Builds a newer librdkafka than Debian 12's 2.0.2, from the source that the crate rdkafka-sys carries, once per machine; prints its folder.
#
#   LD_LIBRARY_PATH=$(tools/newer_librdkafka.sh) shoal …      programs built with 2.0.2 run on it unchanged
#
# Needs cargo, gcc, make and the headers of OpenSSL, zlib and zstd.
set -euo pipefail
crate=4.10.0 version=2.12.1
home=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/librdkafka-$version

for program in cargo gcc make; do
  command -v $program >/dev/null || { echo "newer_librdkafka.sh: $program isn't there: apt-get install $program" >&2; exit 1; }
done
mkdir -p "$(dirname "$home")"
exec 9>"$home.lock"
flock 9
if [ ! -f "$home/librdkafka.so.1" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/src"
  : >"$work/src/lib.rs"
  cat >"$work/Cargo.toml" <<TOML
[package]
name = "fetch"
version = "0.1.0"
edition = "2021"
[dependencies]
rdkafka-sys = { version = "=$crate", default-features = false }
TOML
  # `set -e` doesn't hold where failure is asked for: the steps are chained.
  {
    cd "$work" \
      && cargo vendor -q vendor \
      && cd vendor/rdkafka-sys/librdkafka \
      && ./configure --disable-gssapi --disable-curl \
      && make -s -C src -j2 librdkafka.so.1 \
      && rm -rf "$home.part" "$home" \
      && mkdir "$home.part" \
      && cp src/librdkafka.so.1 "$home.part/" \
      && mv -T "$home.part" "$home"
  } >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
fi
echo "$home"
