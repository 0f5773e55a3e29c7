#!/bin/bash
# skopeo can't find an image by its name in an OCI layout when the manifest has Docker's media type.
#
# Behaviour: of a layout with one image, whose entry in index.json has the annotation org.opencontainers.image.ref.name
# and the media type of Docker's manifests, skopeo reads the image when no name is given. With the name it says that
# there is no such reference. The same layout with OCI's media types is read both ways. OCI's image layout says that
# index.json may have manifests of any media type.
# Seen with: skopeo 1.9.3 (Debian 12)
# Output seen:
#   OCI's types, no name: read
#   OCI's types, by name: read
#   Docker's types, no name: read
#   Docker's types, by name: no descriptor found for reference "latest"
# What follows: shoal gives skopeo a layout of the one image that it wants (worker/image_import.c).
# Exits with 1 when skopeo behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q skopeo='1.9.3*' libdevmapper1.02.1 libgpgme11 >apt.log 2>&1 || { cat apt.log; exit 2; }
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu:$work/root/lib/x86_64-linux-gnu
cat >make.py <<'PYTHON'
"""make.py FOLDER TYPES: an OCI layout with the image "latest" of one layer with one file, in the media types of oci or docker."""
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

folder, types = sys.argv[1:]
manifest, config, layer = {
    "oci": ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip"),
    "docker": ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json",
               "application/vnd.docker.image.rootfs.diff.tar.gzip"),
}[types]


def blob(data, media_type):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{folder}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


os.makedirs(f"{folder}/blobs/sha256")
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    member = tarfile.TarInfo("hello")
    member.size = 2
    tar.addfile(member, io.BytesIO(b"hi"))
files = "sha256:" + hashlib.sha256(archive.getvalue()).hexdigest()
about = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [files]}}
text = {"schemaVersion": 2, "mediaType": manifest, "config": blob(json.dumps(about).encode(), config),
        "layers": [blob(gzip.compress(archive.getvalue(), mtime=0), layer)]}
entry = blob(json.dumps(text).encode(), manifest)
entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
for name, content in (("index.json", {"schemaVersion": 2, "manifests": [entry]}), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
    with open(f"{folder}/{name}", "w") as file:
        json.dump(content, file)
PYTHON
python3 make.py oci oci
python3 make.py docker docker
try () { # WHAT LAYOUT
  local said
  if said=$(root/usr/bin/skopeo inspect "oci:$2" 2>&1 >/dev/null); then
    echo "$1: read"
  else
    said=${said##*: }
    echo "$1: ${said//\\\"/\"}" | sed 's/"$//'
  fi
}
{
  try "OCI's types, no name" oci
  try "OCI's types, by name" oci:latest
  try "Docker's types, no name" docker
  try "Docker's types, by name" docker:latest
} | tee seen
cat >expected <<'END'
OCI's types, no name: read
OCI's types, by name: read
Docker's types, no name: read
Docker's types, by name: no descriptor found for reference "latest"
END
diff expected seen
