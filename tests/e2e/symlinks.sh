#!/bin/bash
# Links and strange names in inputs; outputs that belong to the person who ran shoal.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
mkdir in outside
echo inside >in/a.txt
echo outside >outside/b.txt
ln -s a.txt in/link.txt
job () { "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' --batch-size 10 "$@" busybox sh -c "$COPY"; }

expect_exit 0 "a link to a file beneath the volume" job --results one
expect_same "… is that file" inside "$(cat one/outputs/res/link.txt)"
ln -s ../outside/b.txt in/out.txt
expect_exit 2 "a link that leads out of the volume" job --results two
expect_stderr "out\.txt"
expect_true "… makes nothing" test ! -e two -a ! -e two.partial
expect_exit 0 "--symlinks follow" job --results follow --symlinks follow
expect_same "… takes it" outside "$(cat follow/outputs/res/out.txt)"
expect_exit 0 "--symlinks skip" job --results skip --symlinks skip
expect_same "… leaves links out" a.txt "$(ls skip/outputs/res)"
rm in/out.txt

for stage in link copy bind; do
  expect_exit 0 "--stage $stage" job --results "stage-$stage" --stage $stage
  expect_true "… gives the same" diff -r one/outputs "stage-$stage/outputs"
done

names=($'new\nline.txt' '-rf.txt' ' space .txt' $'\xff\xfe.txt' '*.txt' "$(printf '%0251d' 0).txt" '"quoted".txt' 'ümläut.txt')
mkdir strange
for name in "${names[@]}"; do printf '%s' "$name" >"strange/$name"; done
expect_exit 0 "names of any bytes" "$SHOAL" run -v strange:/in -o res:/out --glob '*' --batch-size 3 --results strange-out busybox \
  sh -c 'for f in /in/*; do cp -- "$f" /out/; done'
expect_true "… come through unchanged" diff -r strange strange-out/outputs/res
expect_true "the manifest is JSON all the same" python3 -m json.tool strange-out/manifest.json /dev/null

expect_exit 0 "a command of another user" "$SHOAL" run -v in:/in -o res:/out --glob '*.txt' -u 1234:1234 --results owner busybox sh -c "$COPY"
expect_same "… leaves files that are ours" "$(id -u)" "$(stat -c %u owner/outputs/res/a.txt)"
