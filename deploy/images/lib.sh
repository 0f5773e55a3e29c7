# Functions that turn Debian packages into an OCI image layout; sourced by the scripts beside it.
# The same packages give the same digest: no times, no owners, sorted names.
set -euo pipefail
export LC_ALL=C
umask 022

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

need () { # PROGRAM PACKAGE
  command -v "$1" > /dev/null && return
  echo "$0: $1 isn't installed (Debian package $2)" >&2
  exit 1
}

# The folders and files that every root file system has.
new_root () { # ROOT
  mkdir -p "$1"/{bin,dev,etc,proc,sys,tmp}
  chmod 1777 "$1/tmp"
  printf '%s\n' root:x:0:0:root:/:/bin/sh nobody:x:65534:65534:nobody:/:/bin/sh > "$1/etc/passwd"
  printf '%s\n' root:x:0: nogroup:x:65534: > "$1/etc/group"
}

# Copies the shared libraries that FILES need, and the loader, within TREE to ROOT. Nothing of TREE is run but its loader.
copy_libraries () { # TREE ROOT FILE…
  local tree=$1 root=$2 file loader path
  shift 2
  loader=$(cd "$tree" && echo lib64/ld-linux-*.so.* lib/ld-linux-*.so.* | tr ' ' '\n' | grep -v '[*]' | head -1)
  path=$(cd "$tree" && find lib usr/lib -maxdepth 1 -type d -name '*-linux-gnu*' | sed "s|^|$tree/|" | paste -sd:)
  for file; do
    "$tree/$loader" --inhibit-cache --library-path "$path" --list "$tree/$file"
  done | sed -n "s|.* => $tree/\\([^ ]*\\) .*|\\1|p" | sort -u > "$WORK/libraries"
  echo "$loader" >> "$WORK/libraries"
  copy_files "$tree" "$root" < "$WORK/libraries"
}

# Copies what standard input names; a library's link becomes the file it leads to.
copy_files () { # TREE ROOT
  tar -C "$1" --dereference --hard-dereference -cf - -T - | tar -C "$2" -xf -
}

add_blob () { # LAYOUT FILE: prints the digest
  local digest
  digest=$(sha256sum < "$2" | cut -d' ' -f1)
  mv "$2" "$1/blobs/sha256/$digest"
  echo "$digest"
}

# Makes LAYOUT, whole or not at all, of ROOT and the image configuration's `config` (JSON), tagged `latest`.
# manifest.json beside index.json makes `tar -C LAYOUT -c . | docker load` work, too.
write_layout () { # ROOT LAYOUT NAME CONFIG
  local root=$1 layout=$2 name=$3 config=$4 made=$2.$$.tmp media=application/vnd.oci.image
  local layer diff config_blob manifest blobs
  mkdir -p "$(dirname "$layout")"
  rm -rf "$made"
  blobs=$made/blobs/sha256
  mkdir -p "$blobs"
  tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=posix \
      --pax-option=delete=atime,delete=ctime -cf "$WORK/layer" .
  diff=$(sha256sum < "$WORK/layer" | cut -d' ' -f1)
  gzip -n -6 < "$WORK/layer" > "$WORK/layer.gz"
  layer=$(add_blob "$made" "$WORK/layer.gz")
  printf '{"created":"1970-01-01T00:00:00Z","architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
         "$(dpkg --print-architecture)" "$config" "$diff" > "$WORK/config"
  config_blob=$(add_blob "$made" "$WORK/config")
  printf '{"schemaVersion":2,"mediaType":"%s.manifest.v1+json","config":{"mediaType":"%s.config.v1+json","digest":"sha256:%s","size":%d},"layers":[{"mediaType":"%s.layer.v1.tar+gzip","digest":"sha256:%s","size":%d}]}' \
         $media $media "$config_blob" "$(stat -c %s "$blobs/$config_blob")" \
         $media "$layer" "$(stat -c %s "$blobs/$layer")" > "$WORK/manifest"
  manifest=$(add_blob "$made" "$WORK/manifest")
  printf '{"imageLayoutVersion":"1.0.0"}' > "$made/oci-layout"
  printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s.manifest.v1+json","digest":"sha256:%s","size":%d,"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}' \
         $media "$manifest" "$(stat -c %s "$blobs/$manifest")" > "$made/index.json"
  printf '[{"Config":"blobs/sha256/%s","RepoTags":["%s:latest"],"Layers":["blobs/sha256/%s"]}]' \
         "$config_blob" "$name" "$layer" > "$made/manifest.json"
  chmod -R u=rwX,go=rX "$made"
  rm -rf "$layout"
  mv -T "$made" "$layout"
  echo "sha256:$manifest"
}
