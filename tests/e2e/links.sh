#!/bin/bash
# Links to folders in inputs: entered or said, and each container sees the same by every way of staging.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
seed=${SHOAL_SEED:-$RANDOM}
echo "SHOAL_SEED=$seed"

mkdir -p in/a/deep elsewhere/more
echo 1 >in/1.txt
echo 2 >in/a/2.txt
echo 3 >in/a/deep/3.txt
echo 4 >elsewhere/4.txt
echo 5 >elsewhere/more/5.txt
ln -s "$PWD/elsewhere" in/far
ln -s .. in/a/up
plan () { "$SHOAL" plan -v in:/in --glob '**/*.txt' "$@" busybox; }
expect_same "follow enters folders, in the order of the whole paths" \
  "/in/1.txt /in/a/2.txt /in/a/deep/3.txt /in/far/4.txt /in/far/more/5.txt" "$(plan --symlinks follow --atoms | paste -sd' ')"
expect_same "… and says which one it lies in" "1 link to a folder that it lies in: /in/a/up" "$(plan --symlinks follow | sed -n 's/^left out  //p')"
expect_same "beneath says how many links it left out" "2 links to folders: /in/a/up, /in/far (--symlinks follow enters them)" \
  "$(plan | sed -n 's/^left out  //p')"
expect_same "skip has nothing to say" "" "$(plan --symlinks skip | sed -n 's/^left out  //p')"
expect_same "a pattern that nothing in them matches leaves nothing out" "" \
  "$("$SHOAL" plan -v in:/in --glob '*.txt' busybox | sed -n 's/^left out  //p')"
expect_same "--json has the line" "2 links to folders: /in/a/up, /in/far (--symlinks follow enters them)" \
  "$(plan --json | python3 -c 'import json, sys; print (json.load (sys.stdin)["left_out"])')"

run () { "$SHOAL" run -v in:/in -o res:/out --glob '**/*.txt' --batch-size 10 "$@" busybox sh -c 'cd /in; find -L . -type f | sort | xargs md5sum >/out/sums'; }
expect_exit 0 "a run that leaves links out" run --results beneath
expect_stderr "left out  2 links to folders: /in/a/up, /in/far"
expect_same "… has it in the manifest" "2 links to folders: /in/a/up, /in/far (--symlinks follow enters them)" \
  "$(python3 -c 'import json; print (json.load (open ("beneath/manifest.json"))["left_out"])')"
expect_manifest beneath/manifest.json
expect_true "… and in the report" grep -q "Left out of the inputs: 2 links to folders" beneath/report.html
for stage in auto link copy bind; do
  expect_exit 0 "--stage $stage with links that are followed" run --results "follow-$stage" --symlinks follow --stage $stage
  expect_same "… shows 5 files" 5 "$(wc -l <"follow-$stage/outputs/res/sums")"
  expect_true "… and the same ones" diff follow-auto/outputs/res/sums "follow-$stage/outputs/res/sums"
done

# Folders as atoms: what their links lead to is there, by every way.
mkdir -p sets/one sets/two common/deep
echo x >common/x
echo y >common/deep/y
echo own >sets/one/own
echo own >sets/two/own
ln -s ../../common sets/one/common
ln -s own sets/one/same
ln -s "$PWD/common/x" sets/two/absolute
mkdir all
mv sets common all
ln -sfn "$PWD/all/common/x" all/sets/two/absolute
folders () { "$SHOAL" run -v all:/in -o res:/out --base-path /in/sets --glob '*' "$@" busybox sh -c 'cd /in/sets; find -L . -type f | sort | xargs md5sum >"/out/$(ls)"'; }
for stage in auto link copy bind; do
  expect_exit 0 "--stage $stage of folders with links" folders --results "folders-$stage" --stage $stage
  expect_same "… holds what they lead to" "./one/common/deep/y ./one/common/x ./one/own ./one/same ./two/absolute ./two/own" \
    "$(sed 's/.* //' "folders-$stage"/outputs/res/* | paste -sd' ')"
done
ln -s /nowhere all/sets/two/gone
expect_exit 1 "a folder with a link that leads nowhere" folders --results gone
expect_stderr "sets/two/gone: dangling symbolic link"

# A whole volume.
whole () { "$SHOAL" run -v in:/in -o res:/out "$@" busybox sh -c 'cd /in; cat 1.txt a/deep/3.txt a/up/1.txt far/4.txt far/more/5.txt >/out/found'; }
expect_exit 0 "a whole volume with links that are followed" whole --results whole --symlinks follow
expect_same "… holds what they lead to" "1 3 1 4 5" "$(paste -sd' ' whole/outputs/res/found)"

expect_exit 0 "60 random trees are planned as os.walk has them (seed $seed)" python3 "$E2E_LIB/links.py" "$SHOAL" "$E2E_WORK/random" "$seed" 60
