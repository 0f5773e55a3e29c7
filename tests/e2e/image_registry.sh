#!/bin/bash
# shoal image pull from a real registry: by plain HTTP, with certificates, with a password; by tag, digest and both; an index of platforms.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
own_store busybox
make_files in 1
cp -r "$layout" other
umoci config --image other:latest --config.env MADE_BY=other
pull () { "$SHOAL" image pull "$@"; }

# registry NAME LINE…: Debian's docker-registry on loopback, with more lines under http: or at the top. Its address in $address.
registry () { # NAME HTTP-LINES TOP-LINES
  printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp:\n  addr: 127.0.0.1:0\n%s\n%s\n' "$PWD/$1.data" "$2" "$3" >"$1.yml"
  docker-registry serve "$1.yml" >"$1.log" 2>&1 &
  at_end "kill -9 $! || true"
  disown
  wait_for "the registry $1" grep -q 'listening on' "$1.log"
  address=localhost:$(grep -oE 'listening on 127.0.0.1:[0-9]+' "$1.log" | grep -oE '[0-9]+$')
}

# ---- plain HTTP
registry plain "" ""
plain=$address
push () { skopeo copy -q --dest-tls-verify=false "$@"; }
"$SHOAL" image import "$layout" --as first
"$SHOAL" image import other --as other
push "oci:$layout" "docker://$plain/tools/first:v1"
push oci:other "docker://$plain/tools/first:v2"
push --format v2s2 "oci:$layout" "docker://$plain/tools/docker:v1"
expect_exit 3 "a registry by plain HTTP isn't taken without a word" pull "$plain/tools/first:v1"
expect_stderr "image \"$plain/tools/first:v1\": skopeo exited with 1: .*(server gave HTTP response to HTTPS client|http: server)"
expect_exit 2 "a value that is none" pull --tls-verify=no "$plain/tools/first:v1"
expect_stderr 'tls-verify: "no": expected true or false'
expect_exit 0 "… by an option" pull --tls-verify=false "$plain/tools/first:v1"
expect_same "… it is the image" "$(image_id first:latest)" "$(image_id "$plain/tools/first:v1")"
expect_exit 0 "… and runs" "$SHOAL" run -q -v in:/in -o o:/out --results r1 "$plain/tools/first:v1" sh -c 'cp /in/* /out'
expect_exit 0 "under another name" pull --tls-verify=false "$plain/tools/first:v2" --as second
expect_same "… it is the image" "$(image_id other:latest)" "$(image_id second:latest)"
expect_exit 0 "an image of Docker's types" pull --tls-verify=false "$plain/tools/docker:v1"
expect_same "… it is the image" "$(image_id first:latest)" "$(image_id "$plain/tools/docker:v1")"
digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$plain/tools/first:v1")
expect_exit 0 "by digest" pull --tls-verify=false "$plain/tools/first@$digest"
expect_exit 0 "by tag and digest: the digest counts" pull --tls-verify=false "$plain/tools/first:v2@$digest" --as both
expect_same "… it is the image" "$(image_id first:latest)" "$(image_id both:latest)"
for name in "$plain/tools/first@$digest" "$plain/tools/first:v2@$digest"; do
  expect_exit 0 "run by $(sed 's,.*/,,; s,sha256:.*,DIGEST,' <<<"$name")" "$SHOAL" run -q -v in:/in -o o:/out --results "r$RANDOM$RANDOM" "$name" true
done
expect_exit 3 "a tag that isn't there" pull --tls-verify=false "$plain/tools/first:none"
expect_stderr 'manifest unknown'

# ---- platforms, and layers of zstd
here=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["architecture"])' <"$(find store/images -name config.json | head -1)")
far=$([ "$here" = arm64 ] && echo amd64 || echo arm64)
cp -r "$layout" foreign
umoci config --image foreign:latest --architecture "$far"
push --override-arch "$far" oci:foreign:latest "docker://$plain/tools/foreign:v1"
buildah_index () { # NAME PLATFORM=TAG…: an index in the registry
  python3 - "$plain" "$@" <<'END'
import json, sys, urllib.request
registry, name, *parts = sys.argv[1:]
kind = "application/vnd.oci.image.manifest.v1+json"
entries = []
for part in parts:
    architecture, tag = part.split("=")
    request = urllib.request.Request(f"http://{registry}/v2/tools/{name}/manifests/{tag}", headers={"Accept": kind})
    with urllib.request.urlopen(request) as answer:
        body = answer.read()
        entries.append({"mediaType": kind, "digest": answer.headers["Docker-Content-Digest"], "size": len(body), "platform": {"os": "linux", "architecture": architecture}})
kind = "application/vnd.oci.image.index.v1+json"
body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
urllib.request.urlopen(urllib.request.Request(f"http://{registry}/v2/tools/{name}/manifests/all", data=body, method="PUT", headers={"Content-Type": kind}))
END
}
push "oci:$layout" "docker://$plain/tools/multi:here"
push --override-arch "$far" oci:foreign:latest "docker://$plain/tools/multi:far"
buildah_index multi "$here=here" "$far=far"
expect_exit 0 "an index of platforms" pull --tls-verify=false "$plain/tools/multi:all"
expect_same "… gives this machine's" "$(image_id first:latest)" "$(image_id "$plain/tools/multi:all")"
expect_exit 0 "another platform, if it is wanted" pull --tls-verify=false --platform "linux/$far" "$plain/tools/multi:all" --as far
expect_true "… is another image" [ "$(image_id first:latest)" != "$(image_id far:latest)" ]
push --override-arch "$far" oci:foreign:latest "docker://$plain/tools/away:far"
buildah_index away "$far=far"
expect_exit 2 "an index of other platforms" pull --tls-verify=false "$plain/tools/away:all"
expect_stderr "not for platform linux/$here; available: linux/$far \\(--platform selects another one\\)"
expect_exit 2 "an image for another platform" pull --tls-verify=false "$plain/tools/foreign:v1"
expect_stderr "not for platform linux/$here; available: linux/$far"

# ---- certificates and a password
mkdir certs login
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out certs/ca.crt 2>openssl.log
/usr/bin/python3 -W ignore -c 'import crypt; print("me:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))' >htpasswd
registry tls "  tls: {certificate: $PWD/certs/ca.crt, key: $PWD/key.pem}" "auth: {htpasswd: {realm: test, path: $PWD/htpasswd}}"
tls=$address
printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$tls" "$(printf me:secret | base64)" >login/config.json
skopeo copy -q --dest-cert-dir certs --dest-authfile login/config.json "oci:$layout" "docker://$tls/tools/first:v1"
expect_exit 3 "a certificate that isn't trusted" pull --authfile login/config.json "$tls/tools/first:v1"
expect_stderr "certificate signed by unknown authority"
expect_exit 3 "no password" pull --cert-dir certs "$tls/tools/first:v1"
expect_stderr "authentication required|unauthorized"
expect_exit 0 "certificate and password, by relative paths" pull --cert-dir certs --authfile login/config.json "$tls/tools/first:v1"
expect_same "… it is the image" "$(image_id first:latest)" "$(image_id "$tls/tools/first:v1")"
expect_exit 0 "any certificate" pull --tls-verify=false --authfile login/config.json "$tls/tools/first:v1" --as any
expect_exit 0 "where docker login leaves the password" env HOME="$PWD/nohome" DOCKER_CONFIG="$PWD/login" REGISTRY_AUTH_FILE="$PWD/login/config.json" \
  "$SHOAL" image pull --cert-dir certs "$tls/tools/first:v1" --as login
expect_exit 2 "a file that isn't there" pull --authfile nosuch "$tls/tools/first:v1"
expect_stderr "authfile: nosuch: No such file"
expect_same "nothing unfinished is left" 0 "$(find store/tmp -mindepth 1 | wc -l)"
