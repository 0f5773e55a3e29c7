#!/bin/bash
# imagemagick.sh LAYOUT: an OCI image with ImageMagick's mogrify (the entrypoint), convert and identify, of Debian's
# packages, cut down to what the programs and the coders below need. No maintainer script is run.
. "$(dirname "$0")/lib.sh"
[ $# = 1 ] || { echo "usage: $0 LAYOUT" >&2; exit 2; }
need mmdebstrap mmdebstrap

suite=$(. /etc/os-release && echo "${SHOAL_DEBIAN_SUITE:-${VERSION_CODENAME:-stable}}")
tree=$WORK/tree
root=$WORK/root
mmdebstrap --quiet --variant=extract --include=imagemagick-6.q16 "$suite" "$tree" 2> "$WORK/log" ||
  { cat "$WORK/log" >&2; exit 1; }

cd "$tree"
modules=$(echo usr/lib/*/ImageMagick-6.*/modules-Q16)
programs=()
for name in mogrify convert identify; do
  programs+=("usr/bin/$name-im6.q16")
done
coders=()
for name in bmp gif info jpeg miff null png pnm tiff webp xc; do
  coders+=("$modules/coders/$name.so")
done
cd "$OLDPWD"

new_root "$root"
copy_libraries "$tree" "$root" "${programs[@]}" "${coders[@]}"
printf '%s\n' "${programs[@]}" "${coders[@]}" "${coders[@]/%.so/.la}" "$(dirname "$modules")/config-Q16" \
       etc/ImageMagick-6 usr/share/ImageMagick-6 | copy_files "$tree" "$root"
for name in mogrify convert identify; do
  ln -s "$name-im6.q16" "$root/usr/bin/$name"
done
write_layout "$root" "$1" imagemagick \
             '{"Env":["PATH=/usr/bin:/bin"],"Entrypoint":["mogrify"],"WorkingDir":"/"}'
