#!/bin/bash
# shoal image import: archives compressed in any way, layers and media types of others, several images in one source, platforms,
# standard input, skopeo's transports; image prune; docker.io/library/x is x.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
own_store busybox
make_files in 1
id () { image_id "$1:latest"; }
imports () { # WHAT SOURCE: becomes the image that the layout is
  expect_exit 0 "import of $1" "$SHOAL" image import "$2" --as this
  expect_same "… is the image" "$want" "$(id this)"
  "$SHOAL" image remove this 2>/dev/null || true
}
runs () { "$SHOAL" run -q -v in:/in -o o:/out --results "r$RANDOM$RANDOM" "$@"; }
"$SHOAL" image import "$layout" --as first
want=$(id first)

# ---- archives
tar -C "$layout" -cf oci.tar .
skopeo copy -q "oci:$layout" docker-archive:docker.tar:some:latest
for archive in oci docker; do
  for program in gzip zstd xz bzip2; do
    $program -qc "$archive.tar" >"$archive.$program"
    imports "$archive archive by $program" "$archive.$program"
  done
done
cp docker.gzip a:b:c.tar
imports "an archive with colons in its name" a:b:c.tar
imports "… and a name behind it" a:b:c.tar:some:latest
mkdir x:y
cp -r "$layout" x:y/lay:out
imports "a layout with colons in its path" x:y/lay:out
expect_exit 0 "a store with a colon in its path" "$SHOAL" image import --images "$PWD/st:ore" "$layout" --as this
head -c 5000 docker.gzip >cut.gz
expect_exit 3 "an archive that was cut off" "$SHOAL" image import cut.gz --as x
expect_stderr 'image "x:latest": gzip exited with 1: .*unexpected end of file'

# ---- standard input
from_stdin () { "$SHOAL" image import "$2" --as this <"$1"; }
for source in docker.tar docker.gzip oci.tar oci.zstd; do
  from_stdin $source - >"$E2E_WORK/out" 2>"$E2E_WORK/err" && ok "import of $source on standard input" || fail "import of $source on standard input"
  expect_same "… is the image" "$want" "$(id this)"
  "$SHOAL" image remove this
done
expect_true "with a name" from_stdin docker.tar /dev/stdin:some
"$SHOAL" image remove this
expect_true "through a pipe" eval '"$SHOAL" image import <(cat oci.tar) --as this'
"$SHOAL" image remove this
expect_exit 2 "nothing on standard input" "$SHOAL" image import - --as x
expect_stderr "standard input: .* is neither an OCI nor a Docker archive|standard input: .*neither an OCI layout folder nor an archive"

# ---- media types and layers of others
python3 - "$layout" <<'END'
# docker/: the layout in Docker's media types; zstd/: with its layer compressed by zstd.
import hashlib, json, os, shutil, subprocess, sys

def blob(folder, data):
    name = hashlib.sha256(data).hexdigest()
    os.makedirs(f"{folder}/blobs/sha256", exist_ok=True)
    open(f"{folder}/blobs/sha256/{name}", "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}

def read(descriptor):
    return open(f"{sys.argv[1]}/blobs/{descriptor['digest'].replace(':', '/')}", "rb").read()

index = json.load(open(f"{sys.argv[1]}/index.json"))
manifest = json.loads(read(index["manifests"][0]))
config, layer = read(manifest["config"]), read(manifest["layers"][0])
docker, oci = "application/vnd.docker.", "application/vnd.oci.image."

def write(folder, layer, layer_type, config_type, manifest_type, index_type=None):
    made = {"schemaVersion": 2, "mediaType": manifest_type, "config": {"mediaType": config_type, **blob(folder, config)},
            "layers": [{"mediaType": layer_type, **blob(folder, layer)}]}
    entry = {"mediaType": manifest_type, **blob(folder, json.dumps(made).encode()), "platform": {"os": "linux", "architecture": json.loads(config)["architecture"]}}
    if index_type:
        inner = {"schemaVersion": 2, "mediaType": index_type, "manifests": [entry]}
        entry = {"mediaType": index_type, **blob(folder, json.dumps(inner).encode())}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    json.dump({"schemaVersion": 2, "manifests": [entry]}, open(f"{folder}/index.json", "w"))
    open(f"{folder}/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')

raw = subprocess.run(["gzip", "-dc"], input=layer, stdout=subprocess.PIPE, check=True).stdout
zstd = subprocess.run(["zstd", "-qc"], input=raw, stdout=subprocess.PIPE, check=True).stdout
write("docker", layer, docker + "image.rootfs.diff.tar.gzip", docker + "container.image.v1+json", docker + "distribution.manifest.v2+json")
write("dockerlist", layer, docker + "image.rootfs.diff.tar.gzip", docker + "container.image.v1+json", docker + "distribution.manifest.v2+json",
      docker + "distribution.manifest.list.v2+json")
write("zstd", zstd, oci + "layer.v1.tar+zstd", oci + "config.v1+json", oci + "manifest.v1+json")
write("dockerzstd", zstd, docker + "image.rootfs.diff.tar.zstd", docker + "container.image.v1+json", docker + "distribution.manifest.v2+json")
write("plain", raw, oci + "layer.v1.tar", oci + "config.v1+json", oci + "manifest.v1+json")
END
for made in docker dockerlist zstd plain; do
  imports "a layout ($made)" $made
  imports "… by its tag" $made:v1
  tar -C $made -cf $made.tar .
  imports "… as an archive" $made.tar:v1
done
expect_exit 0 "the layer of zstd is unpacked" "$SHOAL" image import zstd --as zstd
expect_exit 0 "… and runs" runs zstd sh -c 'cp /in/* /out'

# ---- several images
cp -r "$layout" two
umoci config --image two:latest --tag other --config.env MADE_BY=other
umoci tag --image two:latest same
skopeo copy -q "oci:two:other" oci:"$PWD/other":latest
"$SHOAL" image import other --as other
want_other=$(id other)
expect_true "the two images differ" [ "$want" != "$want_other" ]
chosen () { # SOURCE WHICH NAME: how it is chosen, and which it is
  expect_exit 0 "$1" "$SHOAL" image import "$1" --as this
  expect_same "… is the image $3" "$2" "$(id this)"
  "$SHOAL" image remove this 2>/dev/null || true
}
chosen two "$want" first
chosen two:other "$want_other" other
chosen two:same "$want" first
digest=$(python3 -c 'import json; print([m["digest"] for m in json.load(open("two/index.json"))["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == "other"][0])')
chosen "two:$digest" "$want_other" other
chosen "two:@1" "$want_other" other
umoci rm --image two:latest
expect_exit 2 "several images and none is the latest" "$SHOAL" image import two --as x
expect_stderr 'two: several images: select one with SOURCE:NAME, SOURCE:DIGEST or SOURCE:@N; available: @[01] (other|same), @[01] (other|same)'
expect_exit 2 "a name that isn't there" "$SHOAL" image import two:none --as x
expect_stderr 'no image is named "none"; available: @0 '
expect_exit 2 "a number that isn't there" "$SHOAL" image import two:@7 --as x
expect_stderr 'no image is named "@7"; available: @0 '
# `docker save` of two images, one of them with two names
python3 - <<'END'
import io, json, subprocess, tarfile
entries, files = [], {}
for number, (source, names) in enumerate([("first", ["registry.example:5000/tools/first:v1", "first:v1"]), ("other", ["other:v2"])]):
    subprocess.run(["skopeo", "copy", "-q", "oci:" + {"first": "two:same", "other": "other:latest"}[source], f"docker-archive:{source}.tar"], check=True)
    with tarfile.open(f"{source}.tar") as archive:
        entry = json.load(archive.extractfile("manifest.json"))[0]
        entries.append({**entry, "RepoTags": names})
        for path in [entry["Config"], *entry["Layers"]]:
            files[path] = archive.extractfile(path).read()
with tarfile.open("several.tar", "w") as archive:
    for path, data in [("manifest.json", json.dumps(entries).encode()), *files.items()]:
        info = tarfile.TarInfo(path)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
print(entries[1]["Config"].removesuffix(".json"), file=open("config", "w"))
END
expect_exit 2 "an archive of several images" "$SHOAL" image import several.tar --as x
expect_stderr 'available: @0 registry.example:5000/tools/first:v1 first:v1, @1 other:v2'
chosen several.tar:registry.example:5000/tools/first:v1 "$want" first
chosen several.tar:docker.io/library/first:v1 "$want" first
chosen several.tar:other:v2 "$want_other" other
chosen several.tar:@1 "$want_other" other
chosen "several.tar:sha256:$(<config)" "$want_other" other
gzip -k several.tar
chosen several.tar.gz:other:v2 "$want_other" other

# ---- platforms
here=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["architecture"])' <"$(find store/images -name config.json | head -1)")
other=$([ "$here" = arm64 ] && echo amd64 || echo arm64)
cp -r "$layout" foreign
umoci config --image foreign:latest --architecture $other
expect_exit 2 "an image for another platform" "$SHOAL" image import foreign --as x
expect_stderr "image \"x:latest\": foreign: not for platform linux/$here; available: linux/$other \\(--platform selects another one\\)"
expect_exit 0 "… if it is wanted" "$SHOAL" image import --platform linux/$other foreign --as x
make_files asked 1
expect_exit 2 "a job for a platform that its image isn't for" "$SHOAL" run --platform linux/$here -v asked:/in -o out:/out --results asked.result x true
expect_stderr "image \"x\" is for linux/$other here, not for --platform linux/$here: import or pull it for that platform"
"$SHOAL" image import "$layout" --as near >/dev/null
expect_exit 2 "… and one whose reduce image isn't" "$SHOAL" run --platform linux/$here --runtime oci -v asked:/in -o out:/out --results asked.result \
  --reduce x --reduce-command true near true
expect_stderr "image \"x\" is for linux/$other here, not for --platform linux/$here: import or pull it for that platform"
"$SHOAL" image remove near
expect_exit 2 "a job's platform that is none" "$SHOAL" run --platform linux -v asked:/in -o out:/out --results asked.result x true
expect_stderr '--platform: "linux" is not a platform'
skopeo copy -q --override-arch $other oci:foreign:latest docker-archive:foreign.tar:some:latest
expect_exit 2 "the same of docker save" "$SHOAL" image import foreign.tar --as y
expect_stderr "not for platform linux/$here; available: linux/$other"
python3 - "$here" "$other" <<'END'
# both/: an index of platforms
import hashlib, json, os, shutil, sys
shutil.copytree("foreign", "both")
entries = []
for source, architecture in (("dockerlist", None), ("foreign", sys.argv[2])):
    if architecture:
        descriptor = json.load(open(f"{source}/index.json"))["manifests"][0]
        entries.append({k: descriptor[k] for k in ("mediaType", "digest", "size")} | {"platform": {"os": "linux", "architecture": architecture}})
plain = json.load(open("plain/index.json"))["manifests"][0]
shutil.copytree("plain/blobs", "both/blobs", dirs_exist_ok=True)
entries += [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": 7, "platform": {"os": "unknown", "architecture": "unknown"}}]
def write(folder, entries):
    data = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}).encode()
    name = hashlib.sha256(data).hexdigest()
    open(f"{folder}/blobs/sha256/{name}", "wb").write(data)
    json.dump({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + name, "size": len(data)}]}, open(f"{folder}/index.json", "w"))
shutil.copytree("both", "none")
write("none", entries)
write("both", [{k: plain[k] for k in ("mediaType", "digest", "size", "platform")}] + entries)
END
imports "an index of two platforms" both
expect_exit 2 "an index of other platforms" "$SHOAL" image import none --as y
expect_stderr "not for platform linux/$here; available: linux/$other \\("
expect_exit 2 "a platform that is none" "$SHOAL" image import --platform linux both --as y
expect_stderr '"linux" is not a platform'

# ---- skopeo's transports
skopeo copy -q "oci:$layout" dir:"$PWD/a dir:x"
imports "a folder of skopeo's" "dir:a dir:x"
imports "oci: before a path" "oci:$layout"
imports "docker-archive: before a path" docker-archive:docker.tar
expect_exit 3 "no Docker engine" env DOCKER_HOST=unix:///nonexistent "$SHOAL" image import docker-daemon:tool --as x
expect_stderr "skopeo exited with .*/nonexistent"
mkdir dir:
cp -r "$layout" dir:/layout
imports "a path that is there goes before a transport" dir:/layout

# ---- names
expect_exit 0 "a name with its registry" "$SHOAL" image import "$layout" --as docker.io/library/tool:latest
for name in tool tool:latest library/tool docker.io/tool index.docker.io/library/tool; do
  expect_exit 0 "$name is docker.io/library/tool" runs "$name" true
done
expect_exit 2 "another registry's is another" runs registry.example/library/tool true
expect_exit 0 "import under another spelling" "$SHOAL" image import other --as tool
expect_same "… replaces it" "$want_other" "$(id docker.io/library/tool)"
expect_exit 0 "a tag beside a digest" "$SHOAL" image import "$layout" --as "pinned:v1@$digest"
expect_exit 0 "… doesn't count" runs "pinned@$digest" true
expect_exit 2 "an image that isn't there" runs absent true
expect_stderr "use .shoal image pull absent., or .shoal image import SOURCE --as absent."

# ---- prune
count () { find store/images -mindepth 1 -maxdepth 1 | wc -l; }
"$SHOAL" image list --json >images.json
before=$(count)
"$SHOAL" image import other --as first
"$SHOAL" image import other --as zstd
expect_exit 0 "prune" "$SHOAL" image prune
expect_stdout "^removed [0-9]+ images?, [0-9.]+ [KM]?i?B$"
expect_true "… removes what has no name" [ "$(count)" -lt "$before" ]
expect_exit 0 "… and nothing else" runs first true
expect_exit 1 "a job that isn't finished" "$SHOAL" run -q --retries 0 -v in:/in -o o:/out --results unfinished other false
expect_exit 0 "prune --all" "$SHOAL" image prune --all
expect_same "… leaves what a job needs" 1 "$(count)"
expect_exit 0 "… with its name" "$SHOAL" image list
expect_stdout "^other:latest"
expect_exit 0 "prune of no store" "$SHOAL" image prune --images nosuch
expect_stdout "^removed 0 images"
expect_same "nothing unfinished is left" 0 "$(find store/tmp -mindepth 1 | wc -l)"

# ---- a policy allows the name of a job, and no image of another name by it
"$SHOAL" image import "$layout" --as private
sed 's/"networks"/"images": ["docker.io\/library\/*", "open"],\n  "networks"/' "$SHOAL_POLICY" >strict.json
export SHOAL_POLICY=$PWD/strict.json SHOAL_BUS=sqlite:$PWD/fleet.db
for part in producer merger "worker --slots 1"; do
  # shellcheck disable=SC2086
  "$SHOAL" $part 2>>parts.err &
  at_end "kill -9 $! || true"
  disown
done
wait_for "the bus" test -s fleet.db
ends () { [ "$("$SHOAL" status --json "$1" | json state)" = "$2" ]; }
submits () { "$SHOAL" submit --id "$1" --retries 0 --results "$PWD/$1" -v "$PWD/in:/in" -o o:/out "$2" true; }
expect_exit 0 "a job by a name that is allowed, of an image whose own isn't" submits refused docker.io/library/private
wait_for "its end" ends refused failed
expect_true "… is refused" grep -q 'policy.*private' refused.partial/manifest.json
"$SHOAL" image import "$layout" --as docker.io/library/public
expect_exit 0 "a job of an image whose name is allowed" submits allowed docker.io/library/public
wait_for "its end" ends allowed succeeded
ok "… runs"
