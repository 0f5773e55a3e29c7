#!/bin/bash
# images.sh DIR [NAME…]: makes the images' layouts DIR/NAME that aren't there yet (default: busybox imagemagick).
# Several may run at once: each makes its own, the first rename counts.
set -euo pipefail
dir=$1
shift
[ $# -gt 0 ] || set -- busybox imagemagick
scripts=$(cd "$(dirname "$0")/../../deploy/images" && pwd)

mkdir -p "$dir"
for name; do
  [ ! -e "$dir/$name/oci-layout" ] || continue
  made=$(mktemp -d "$dir/.$name.XXXXXX")
  trap 'rm -rf "$made"' EXIT
  bash "$scripts/$name.sh" "$made/layout" >&2
  mv -T "$made/layout" "$dir/$name" || [ -e "$dir/$name/oci-layout" ]
  rm -rf "$made"
done
