#!/bin/bash
# busybox.sh LAYOUT: an OCI image with a shell and small tools, of Debian's busybox-static. Runs `sh` by default.
. "$(dirname "$0")/lib.sh"
[ $# = 1 ] || { echo "usage: $0 LAYOUT" >&2; exit 2; }

# The package that is installed, or else one that is fetched and only unpacked.
find_busybox () {
  local installed
  installed=$(dpkg-query -L busybox-static 2> /dev/null | grep -m 1 -E '/bin/busybox$') && { echo "$installed"; return; }
  need apt-get apt
  (cd "$WORK" && apt-get download -qq busybox-static && dpkg-deb -x busybox-static_*.deb package) >&2
  find "$WORK/package" -path '*/bin/busybox'
}

busybox=$(find_busybox)
root=$WORK/root
new_root "$root"
cp "$busybox" "$root/bin/busybox"
chmod 755 "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
write_layout "$root" "$1" busybox '{"Env":["PATH=/bin"],"Cmd":["sh"],"WorkingDir":"/"}'
