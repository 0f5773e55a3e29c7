#!/bin/bash
# What people put into a result is theirs: it comes along when the result is made again, or what it stands in the way of is refused by name.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 4
job () { "$SHOAL" run -q -v in:/in -o res:/out --glob '*.txt' --retries 0 --results "$@"; }
touch fine
COMMAND=(sh -c 'mkdir -p /out/sub; echo "$(date +%N)" >"/out/$(ls /in)"; cp /in/* /out/sub/; [ -e /fine/fine ] || [ "$SHOAL_SHARD_INDEX" != 3 ]')
job r -v "$PWD:/fine" busybox true || true
rm -rf r

# Everything that a person may leave behind in RESULT.
mess () { # RESULT
  echo notes >"$1/NOTES.md"
  mkdir -p "$1/plots/deep/er" "$1/outputs/res/mine/deep" "$1/outputs/res/sub/empty" "$1/shards/about"
  echo plot >"$1/plots/deep/er/a.svg"
  echo own >"$1/outputs/res/mine/deep/own.txt"
  echo beside >"$1/outputs/res/sub/beside"
  echo top >"$1/outputs/top"
  echo shard >"$1/shards/about/00001.txt"
  ln -s ../NOTES.md "$1/plots/link"
  ln -s /nowhere "$1/outputs/res/dangling"
  ln "$1/NOTES.md" "$1/plots/hard"
  mkfifo "$1/plots/pipe"
  touch -d '2001-02-03 04:05:06' "$1/plots/deep" "$1/NOTES.md"
  chmod 750 "$1/plots/deep" "$1/outputs/res/mine"
  printf 'odd\n' >"$1/outputs/res/$(printf 'new\nline \033[31m')"
}
# What of it is there now: type, mode, content, times of what isn't a folder of shoal's.
messed () { # RESULT
  (cd "$1" && for path in NOTES.md plots outputs/top outputs/res/mine outputs/res/sub/beside outputs/res/sub/empty outputs/res/dangling shards/about outputs/res/new*; do
    find "$path" -printf '%p %y %m %s %l\n' | sed 's/ d \([0-7]*\) [0-9]* / d \1 /'
    find "$path" -type f -exec cat {} +
  done | sort; stat -c '%n %Y %i' plots/deep/er/a.svg NOTES.md; stat -c '%n %Y' plots/deep)
}
outputs () { (cd "$1" && sed -n 's/.*"output":"\([^"]*\)".*"path":"\([^"]*\)".*/outputs\/\1\/\2/p' manifest.json | sort); }

job r busybox "${COMMAND[@]/\/fine\/fine/\/in}"
listed=$(outputs r)
mess r
before=$(messed r)
expect_exit 0 "merge" "$SHOAL" merge r
expect_same "… keeps all of it" "$before" "$(messed r)"
expect_same "… lists none of it" "$listed" "$(outputs r)"
expect_true "… and what is listed is there" sh -c "cd r && cat $(outputs r | tr '\n' ' ') >/dev/null"
expect_exit 0 "retry" "$SHOAL" retry r --shard 1
expect_same "… keeps all of it" "$before" "$(messed r)"
expect_exit 0 "merge once more" "$SHOAL" merge r
expect_same "… keeps all of it" "$before" "$(messed r)"
expect_exit 0 "get of it" "$SHOAL" get r copy
expect_true "… brings what is shoal's" test ! -e copy/NOTES.md

rm -rf r/outputs
expect_exit 0 "outputs/ that was removed is made again" job r busybox "${COMMAND[@]/\/fine\/fine/\/in}"
expect_same "… and the rest kept" notes "$(cat r/NOTES.md)"
expect_true "… " test -e r/plots/deep/er/a.svg
rm -f r/manifest.json
echo mine >r/outputs/res/more
expect_exit 0 "without the manifest" job r busybox "${COMMAND[@]/\/fine\/fine/\/in}"
expect_same "… nothing of theirs is lost" "notes mine" "$(cat r/NOTES.md r/outputs/res/more | tr '\n' ' ' | sed 's/ $//')"

# A result that failed, and is mended.
FAILS=(sh -c 'echo "$SHOAL_SHARD_INDEX" >/out/$SHOAL_SHARD_INDEX; test -e /gate/open || test $SHOAL_SHARD_INDEX != 3')
mkdir gate
expect_exit 1 "a job that fails" job f --volume-shared gate:/gate busybox "${FAILS[@]}"
mkdir -p f.partial/outputs/res f.partial/shards
mess f.partial
before=$(messed f.partial)
touch gate/open
expect_exit 0 "is retried" "$SHOAL" retry f
expect_same "… and what was put into it is in the result" "$before" "$(messed f)"
expect_same "… beside its outputs" "0 1 2 3" "$(cat f/outputs/res/[0-3] | tr '\n' ' ' | sed 's/ $//')"
expect_same "… and no list of a publish is left" "" "$(ls f/.shoal | grep '^manifest' || true)"

# What can't stay beside what a shard wrote.
refused () { # WHAT PATH
  expect_exit 1 "merge refuses $1" "$SHOAL" merge c
  expect_stderr "outputs/res/$2 was not written by shoal"
}
conflict () { rm -rf c c.partial; job c busybox "${FAILS[@]}"; }
FAILS=(sh -c 'mkdir -p /out/d; echo "$SHOAL_SHARD_INDEX" >/out/d/$SHOAL_SHARD_INDEX; ln -s x /out/link$SHOAL_SHARD_INDEX')
conflict
echo edited >c/edit && mv c/edit c/outputs/res/d/1
refused "an output that was replaced" d/1
expect_same "… and leaves it" edited "$(cat c/outputs/res/d/1)"
expect_true "… in a whole result" test -s c/manifest.json -a -e c/outputs/res/d/2
mv c/outputs/res/d/1 edited
expect_exit 0 "out of the way it goes on" "$SHOAL" merge c
expect_same "… with the shard's" 1 "$(cat c/outputs/res/d/1)"
conflict
ln -sfn elsewhere c/outputs/res/link2
refused "a link that was changed" link2
conflict
rm c/outputs/res/d/1 && mkdir c/outputs/res/d/1 && echo inside >c/outputs/res/d/1/file
refused "a folder where an output was" d/1
expect_same "… and leaves what is in it" inside "$(cat c/outputs/res/d/1/file)"
conflict
mv c/outputs/res/d c/moved && ln -s ../../moved c/outputs/res/d
refused "a link where a folder was" d
expect_same "… and leaves it" 1 "$(cat c/moved/1)"
if [ "$(id -u)" -eq 0 ]; then
  conflict
  mkdir c/disk c/outputs/res/disk
  in_mount () { mount -t tmpfs tmpfs "c/$1" && echo precious >"c/$1/file" && { "$SHOAL" merge c; echo "exit $?"; cat "c/$1/file"; } 2>&1; }
  export -f in_mount
  export SHOAL
  for folder in disk outputs/res/disk; do
    expect_true "a file system that is mounted at $folder is left alone" \
      grep -Pzoq "(?s)$folder is a mount point.*exit 1\nprecious" <(unshare --mount bash -c 'in_mount "$1"' - $folder)
  done
fi
