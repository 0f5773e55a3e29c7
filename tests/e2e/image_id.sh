#!/bin/bash
# An image's id: the same however the image came, pinned by a job, refused by workers that have another one.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
own_store busybox
make_files in 6
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true'
cp -r "$layout" other
umoci config --image other:latest --config.env MADE_BY=other
id () { image_id "$1:latest"; }

# ---- the same image by each way
tar -C "$layout" -cf oci.tar .
skopeo copy -q "oci:$layout" docker-archive:docker.tar:some:latest
skopeo copy -q --format v2s2 "oci:$layout" dir:docker
skopeo copy -q --format oci dir:docker oci:again:latest
for source in "$layout" oci.tar docker.tar again other; do
  name=$(basename "$source" .tar)
  expect_exit 0 "import of $name" "$SHOAL" image import "$source" --as "$name"
done
first=$(id busybox)
expect_true "an id is a digest" eval '[[ $first =~ ^sha256:[0-9a-f]{64}$ ]]'
for name in oci docker again; do expect_same "the id of $name" "$first" "$(id $name)"; done
expect_true "another image has another id" eval '[ "$(id other)" != "$first" ]'

# ---- one machine: a job goes on with the image that it began with
"$SHOAL" image import "$layout" --as tool
fail='cp /in/* /out; case "$SHOAL_SHARD_INDEX" in 3) [ -n "$MADE_BY" ];; esac'
run () { "$SHOAL" run -v in:/in -o o:/out --glob '*.txt' --retries 0 --results r tool sh -c "$fail"; }
expect_exit 1 "a job fails" run
expect_same "its manifest says the id" "$first" "$(python3 -c 'import json; print(json.load(open("r.partial/manifest.json"))["job"]["image_id"])')"
expect_same "and that of each shard" "$first" "$(python3 -c 'import json
print(*{shard["image_id"] for shard in json.load(open("r.partial/manifest.json"))["shards"]})')"
expect_manifest r.partial/manifest.json
"$SHOAL" image import other --as tool
for command in "retry r" "resume r" "retry --shard 1 r"; do
  # shellcheck disable=SC2086
  expect_exit 2 "$command with another image" "$SHOAL" $command
  expect_stderr "image \"tool\" has the id sha256:[0-9a-f]{64}, and the job needs $first"
done
expect_exit 2 "the same command with another image" run
expect_stderr "image \"tool\" differs from the one that started .*/r, $first: import that one"
expect_exit 2 "a job that names an id" "$SHOAL" run -v in:/in -o o:/out --results r2 --image-id "$first" tool true
expect_stderr "the job needs $first"
expect_exit 2 "an id that is none" "$SHOAL" run -v in:/in -o o:/out --results r2 --image-id latest tool true
expect_stderr "image-id: .*expected sha256: and 64 hexadecimal digits"
"$SHOAL" image import "$layout" --as tool
expect_exit 1 "the first image again: retry runs" "$SHOAL" retry r

# ---- another image for what failed
"$SHOAL" image import other --as tool
expect_exit 2 "another image beside what the first one made, unless that is meant" "$SHOAL" retry r --image other
expect_stderr "--image other: shards that image \"tool\" with the id $first made are kept, and one result would be of two images: give --image other twice"
expect_exit 2 "also under the name that it had" "$SHOAL" retry r --image tool
expect_exit 2 "two others" "$SHOAL" retry r --image other --image tool
expect_stderr '--image: "other" and "tool": there can be one'
expect_exit 2 "one that isn't there" "$SHOAL" retry r --image nosuch --image nosuch
expect_stderr "nosuch.*shoal image import"
expect_same "nothing was changed" "$first" "$(python3 -c 'import json; print(json.load(open("r.partial/manifest.json"))["job"]["image_id"])')"
expect_exit 0 "given twice it runs what failed, and only that" "$SHOAL" retry r --image other --image other
expect_same "… the result has all" 6 "$(ls r/outputs/o | wc -l)"
expect_same "… the manifest names both" "other $(id other) $first" "$(python3 -c 'import json
job = json.load(open("r/manifest.json"))["job"]
print(job["image"], job["image_id"], *job["earlier_images"])')"
expect_same "… and which shards ran with which" "0 1 2 4 5, 3" "$(python3 -c 'import json, sys
shards = json.load(open("r/manifest.json"))["shards"]
print(*(", ".join(" ".join(str(s["index"]) for s in shards if s["image_id"] == id) for id in sys.argv[1:]),))' "$first" "$(id other)")"
expect_manifest r/manifest.json
expect_true "report.html has both" eval 'grep -q "$first" r/report.html && grep -q "$(id other)" r/report.html'
expect_exit 0 "the bytes are right" "$SHOAL" get r copy
expect_exit 0 "merge makes the same of it" "$SHOAL" merge r --on-conflict first
third=sha256:$(printf '1%.0s' {1..64})
sed -i.kept "s/$first/$third/" r/.shoal/attempts/00005.*/attempt.json
expect_exit 1 "one image more than the job names" "$SHOAL" merge r --on-conflict last
expect_stderr "the image \"other\" isn't the same on all workers: attempt 00005[^ ]* ran with the id $third, shards before it with $first"
for kept in r*/.shoal/attempts/00005.*/attempt.json.kept; do mv "$kept" "${kept%.kept}"; done
expect_exit 0 "… until it is gone" "$SHOAL" merge r --on-conflict last
expect_exit 0 "a shard again, with the image that the job has now" "$SHOAL" retry r --shard 1
expect_same "… which it ran with" "$(id other)" "$(python3 -c 'import json; print(json.load(open("r/manifest.json"))["shards"][1]["image_id"])')"
again () { "$SHOAL" run -v in:/in -o o:/out --glob '*.txt' --retries 0 --results r "$@" sh -c "$fail"; }
expect_exit 0 "the same command with that image goes on with the job" again other
make_files in 7
expect_exit 0 "new inputs, what both images made is taken over" again --update other
expect_same "… all of it" 7 "$(ls r/outputs/o | wc -l)"
expect_exit 1 "another job fails" "$SHOAL" run -v in:/in -o o:/out --glob '*.txt' --retries 0 --results none again sh -c '[ -n "$MADE_BY" ]'
expect_exit 0 "where nothing has succeeded once is enough" "$SHOAL" retry none --image other
expect_same "… one image made it all" "$(id other)" "$(python3 -c 'import json
manifest = json.load(open("none/manifest.json"))
print(*{manifest["job"]["image_id"], *(shard["image_id"] for shard in manifest["shards"]), *manifest["job"].get("earlier_images", [])} - {""})')"
expect_exit 2 "without an image there is no other one" sh -c '"$1" run -q -v in:/in --results bare --runtime process x true && "$1" retry bare --shard 0 --image y' - "$SHOAL"
expect_stderr "--image: with --runtime process nothing of an image is run"
"$SHOAL" image import "$layout" --as tool
rm -r in
make_files in 6

# ---- a fleet: two workers, two images of one name
export SHOAL_BUS=sqlite:$PWD/fleet.db
SHOAL_IMAGES=$PWD/store-b "$SHOAL" image import other --as tool
part () { # NAME STORE OPTION…
  SHOAL_IMAGES=$PWD/$2 "$SHOAL" "$1" "${@:3}" >"$1-$2.out" 2>"$1-$2.err" &
  pids+=($!)
}
has_state () { [ "$("$SHOAL" status --json "$1" | json state)" = "$2" ]; }
submit () { # ID OPTION…
  "$SHOAL" submit --id "$1" --results "$PWD/$1" "${@:2}" -v "$PWD/in:/in" -o o:/out --glob '*.txt' tool \
    sh -c 'while [ "$SHOAL_SHARD_INDEX" = 5 ] && ! [ -n "$MADE_BY" ]; do sleep 0.1; done; cp /in/* /out'
}
part producer store
part merger store
wait_for "the bus" test -s fleet.db
expect_exit 0 "a job that names no id" submit mixed
part worker store --jobs 1 --lease 5s
worker=${pids[2]}
wait_for "five of six shards" eval '[ "$("$SHOAL" status --json mixed | json succeeded)" = 5 ]'
kill -9 "$worker"
part worker store-b --jobs 1 --lease 5s
wait_for "the job's end" has_state mixed failed
expect_true "what two images made isn't one result" grep -q 'image \\"tool\\" isn.t the same on all workers' mixed.partial/manifest.json
expect_same "the manifest tells them apart" "5 1" "$(python3 -c 'import json, sys
ids = [shard["image_id"] for shard in json.load(open("mixed.partial/manifest.json"))["shards"]]
print(ids.count(sys.argv[1]), ids.count(sys.argv[2]))' "$first" "$(id other)")"

expect_exit 0 "a job that names the image of this worker" submit pinned --image-id "$(id other)"
wait_for "the end of a job with an id" has_state pinned succeeded
expect_same "that image made it" "6" "$(grep -c "\"image_id\":\"$(id other)\"" pinned/manifest.json)"
expect_exit 0 "a job that names another one" submit elsewhere --image-id "$first"
wait_for "the end of a job that no worker has the image of" has_state elsewhere failed
expect_true "the manifest says why" grep -q "image \\\\\"tool\\\\\" has the id .* here and the job needs $first" elsewhere.partial/manifest.json
expect_same "it is the machine's fault" "infra" "$(python3 -c 'import json
print(*{shard["outcome"] for shard in json.load(open("elsewhere.partial/manifest.json"))["shards"]})')"
