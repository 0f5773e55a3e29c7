#!/bin/bash
# Links in outputs that lead out of their output: followed, kept or refused; in containers and without, in a reduce container, for S3.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
mkdir -p in/d/deep
printf 'one\n' >in/one.txt
printf 'two\n' >in/d/two.txt
ln -s ../one.txt in/d/up
ln -s /nowhere in/d/deep/dangling
chmod 640 in/one.txt
touch -d '2020-02-02 02:02:02Z' in/one.txt
LINKS='cd /out; echo own >own; ln -s own same; ln -s /out/own absolute; ln -s ../out/own around; mkdir sub; ln -s /out/own sub/up
ln -s /in/one.txt file; ln -s ../in/d/two.txt relative; ln -s /in/d folder; echo b >/other/b; ln -s /other/b second; ln -s ../other/b /other/self
ln -s /out/own /other/back; ln -s /etc/passwd image; ln -s /in/absent absent; ln -s /proc/self/mem proc; ln -s absent near; ln -s /in/d/up chain'
run () { # RESULT OPTION…
  "$SHOAL" run -v in:/in -o out:/out -o other:/other --results "$@"
}
tree () { (cd "$1" && find . -mindepth 1 \( -type l -printf '%P -> %l\n' \) -o \( -type f -printf '%P: ' -exec head -1 {} \; \) -o -printf '%P/\n' | LC_ALL=C sort); }
followed='absent -> /in/absent
absolute -> own
around -> own
chain: one
file: one
folder/
folder/deep/
folder/two.txt: two
folder/up: one
image -> /etc/passwd
near -> absent
own: own
proc -> /proc/self/mem
relative: two
same -> own
second: b
sub/
sub/up -> ../own'

for runtime in oci process; do
  expect_exit 0 "follow, the default ($runtime)" run $runtime --runtime $runtime busybox sh -c "$LINKS"
  expect_stderr "  links     shard 0: 4 links lead out of the outputs: out/[a-z]+ -> /"
  expect_same "links into inputs and other outputs are followed" "$followed" "$(tree $runtime/outputs/out)"
  expect_same "… of each output" $'b: b\nback: own\nself -> b' "$(tree $runtime/outputs/other)"
  expect_same "a copy has mode and time" "640 1580608922" "$(stat -c '%a %Y' $runtime/outputs/out/file)"
  expect_true "… and is one" [ "$(stat -c %i in/one.txt)" != "$(stat -c %i $runtime/outputs/out/file)" ]
  expect_same "the manifest says which lead out" 1 "$(grep -cE '"reason":"4 links lead out of the outputs: out/' $runtime/manifest.json)"
  expect_manifest $runtime/manifest.json
  expect_true "the sums are right" "$SHOAL" get $runtime "copy.$runtime"
  expect_exit 0 "keep ($runtime)" run $runtime.keep --output-links keep --runtime $runtime busybox sh -c "$LINKS"
  expect_same "links are what they were" "/in/one.txt /in/d /out/own ../in/d/two.txt" \
    "$(cd $runtime.keep/outputs/out && readlink file folder absolute relative | paste -sd ' ')"
  expect_exit 1 "fail ($runtime)" run $runtime.fail --retries 0 --output-links fail --runtime $runtime busybox sh -c 'ln -s /in/one.txt /out/file'
  expect_stderr "output out/file is a link out of the output, which --output-links fail doesn.t allow"
  expect_exit 0 "fail allows links within an output" run $runtime.within --output-links fail --runtime $runtime busybox sh -c 'echo a >/out/a; ln -s a /out/b; ln -s /out/a /out/sub 2>/dev/null; rm /out/sub'
done
expect_exit 2 "a word that is none" run x --output-links maybe busybox true
expect_stderr "output-links: .*keep, follow, fail"

# ---- without an end
expect_exit 0 "folders that lead to each other" run loops busybox sh -c 'mkdir /out/a; ln -s /other /out/a/x; ln -s /out/a /other/y; ln -s . /out/dot; ln -s /out /out/all; ln -s loop /out/loop; ln -s /in/../in/../out/a/../../other/y /out/long'
expect_exit 1 "copies count for the limits" run much --retries 0 --max-output-bytes 100k busybox \
  sh -c 'head -c 60000 /dev/zero >/other/a; for i in 1 2 3; do ln -s /other/a /out/$i; done'
expect_stderr "max-output-bytes"
expect_exit 1 "… also in a bomb of folders" run bomb --retries 0 --max-output-files 1000 busybox \
  sh -c 'for i in a b c d e f g h; do mkdir /other/$i; done; set -- b c d e f g h; for i in a b c d e f g; do for k in 1 2 3 4 5 6; do ln -s /other/$1 /other/$i/$k; done; shift; done; echo x >/other/h/x; ln -s /other/a /out/bomb'
expect_stderr "max-output-files"

# ---- what the container's user couldn't read isn't read for it
mkdir private
echo secret >private/secret
echo public >private/public
chmod 600 private/secret
mkdir private/closed
echo hidden >private/closed/x
chmod 700 private/closed
mkdir private/hidden
echo covered >private/hidden/x
expect_exit 0 "a user without rights" "$SHOAL" run -v private:/in -o out:/out --results user --user 1000:1000 --tmpfs /in/hidden busybox \
  sh -c 'cat /in/secret && exit 9; ln -s /in/secret /in/public /in/closed/x /in/hidden/x /out/; mkdir /out/c; ln -s /in/closed /out/c/closed'
expect_same "follows what it may read" $'c/\nc/closed -> /in/closed\npublic: public\nsecret -> /in/secret\nx -> /in/closed/x' "$(tree user/outputs/out)"
expect_exit 0 "root" "$SHOAL" run -v private:/in -o out:/out --results root busybox sh -c 'ln -s /in/secret /in/closed/x /out/'
expect_same "reads all" $'secret: secret\nx: hidden' "$(tree root/outputs/out)"
chown 1000:1000 private/secret
expect_exit 0 "root without its capabilities" "$SHOAL" run -v private:/in -o out:/out --results dropped --cap-drop ALL busybox \
  sh -c 'cat /in/secret && exit 9; ln -s /in/secret /in/public /out/'
expect_same "follows what it may read" $'public: public\nsecret -> /in/secret' "$(tree dropped/outputs/out)"

# ---- shards, a file each, and a reduce container
make_files many 6
expect_exit 0 "shards" "$SHOAL" run -v many:/in -o out:/out --glob '*.txt' --batch-size 2 --results shards \
  --reduce busybox --reduce-command 'sh -c "for f in /shards/*/out/*; do ln -s \$f /out/reduced.\${f##*/}; done"' busybox sh -c 'ln -s /in/* /out/'
expect_same "of shards and the reduce" "$(printf '%d\n' 1 2 3 4 5 6 | paste -sd ' ') $(printf '%d\n' 1 2 3 4 5 6 | paste -sd ' ')" "$(cat shards/shards/*/outputs/out/f* shards/outputs/out/reduced.* | paste -sd ' ')"
expect_same "no link is left" 0 "$(find -L shards/outputs -type l | wc -l)"

# ---- a result in S3
use_s3
bucket=links-$RANDOM$RANDOM
s3 make "$bucket"
at_end 's3 remove "$bucket"'
expect_exit 0 "a result in S3" run "s3://$bucket/result" busybox sh -c "$LINKS"
expect_exit 0 "get" "$SHOAL" get "s3://$bucket/result" from-s3
expect_same "… is the same" "$followed" "$(tree from-s3/out 2>/dev/null || tree from-s3/outputs/out)"
