#!/bin/bash
# From a fresh Debian 12 machine to ten thousand resized photographs: installs what is needed, builds a release, builds an ImageMagick
# image from Debian's packages, makes the photographs and runs the job. What is there already is not made again.
#
#   ./quickstart.sh [HOW_MANY_PHOTOGRAPHS]      default 10000
#
# As root, or as a user with sudo (for apt-get and the image only). Everything it makes lies in quickstart-data/ and build/release/.
set -euo pipefail
cd "$(dirname "$0")"
count=${1:-10000}
case $count in '' | *[!0-9]* | 0*) echo "quickstart.sh: $count: expected a number of photographs" >&2; exit 2 ;; esac
data=$PWD/quickstart-data
photos=$data/photos-$count
result=$data/resized-$count
shoal=$PWD/build/release/shoal
export SHOAL_IMAGES=$data/images
begin=$SECONDS
mkdir -p "$data"

# step TEXT COMMAND… says what is done and how long it took; the command's output is shown when it fails.
step () {
  local text=$1 start=$SECONDS
  shift
  printf '%-58s' "$text …"
  if ! "$@" >"$data/log" 2>&1; then
    printf ' failed\n'
    cat "$data/log" >&2
    exit 1
  fi
  printf ' %3d s\n' $((SECONDS - start))
}

as_root () {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages () {
  tools/install.sh build run image photos
}

build () {
  cmake --preset release && cmake --build --preset release
}

have_image () {
  "$shoal" image list | grep -q '^imagemagick[: \t]'
}

make_image () {
  have_image && return
  local layout=$data/imagemagick.oci
  as_root rm -rf "$layout"
  as_root deploy/images/imagemagick.sh "$layout"
  "$shoal" image import "$layout" --as imagemagick
  as_root rm -rf "$layout"
}

if [ "$(id -u)" -ne 0 ]; then
  sudo -v # asks for the password now, where it can be seen
fi
step "Debian packages" install_packages
step "Release build" build
step "ImageMagick image from Debian's packages" make_image
step "$count photographs" /usr/bin/python3 examples/photos.py "$photos" "$count"

if [ -d "$result" ]; then
  echo "The result stands already; to run the job again: rm -rf quickstart-data/resized-$count"
else
  echo
  set -x
  "$shoal" run -v "$photos:/input_images" -o results:/output_images --results "$result" \
    --glob 'image*.jpg' --base-path /input_images --batch-size 1000 \
    imagemagick -resize 100x100 -quality 100 -path /output_images '/input_images/*.jpg'
  { set +x; } 2>/dev/null
fi

echo
"$shoal" report "$result"
/usr/bin/python3 examples/contact_sheet.py "$result/outputs/results" "$data/contact-sheet.png"
cat <<END

  pictures        quickstart-data/resized-$count/outputs/results/
  contact sheet   quickstart-data/contact-sheet.png
  the program     build/release/shoal --help

Done in $((SECONDS - begin)) s.
END
