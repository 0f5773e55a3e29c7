#!/bin/bash
# Links in an image's own paths: mounts that meet by one are refused, the others are where the image says.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
own_store busybox
cp -r "$layout" layout
mkdir -p root/srv/data
ln -s srv/data root/data
umoci insert --image layout:latest root/srv /srv >/dev/null
umoci insert --image layout:latest root/data /data >/dev/null
"$SHOAL" image import layout --as linked >/dev/null
mkdir -p in/x more
echo 1 >in/x/1
echo 2 >more/2
run () { "$SHOAL" run -q --progress none --retries 0 "$@"; }
refused () { # WHAT OPTION…
  local what=$1
  shift
  expect_exit 1 "$what" run --results "r$((count += 1))" "$@" linked true
  expect_stderr "by a symbolic link of the image it is /srv.*is mounted as well: use paths without links for both"
}
count=0
refused "two outputs at one place" -v ./in:/in -o a:/srv/data -o b:/data
refused "an output in an input" -v ./in:/srv/data -o a:/data/x
refused "an input over an output" --volume-shared ./in:/srv -o a:/data
refused "two inputs" --volume-shared ./in:/srv/data --volume-shared ./more:/data/x
expect_exit 0 "one in another, both by the link" run --results nested --volume-shared ./in:/data --volume-shared ./more:/data/x linked \
  sh -c 'cat /srv/data/x/2 /data/x/2; ls /data'
expect_same "… are where they belong" "2 2 x" "$(xargs <nested/stdout)"
expect_exit 0 "side by side" run --results beside -v ./in:/in -o a:/data/a -o b:/srv/data/b linked sh -c 'echo a >/srv/data/a/f; echo b >/data/b/f'
expect_same "…" "a b" "$(cat beside/outputs/a/f beside/outputs/b/f | xargs)"
