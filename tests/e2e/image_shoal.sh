#!/bin/bash
# The image of shoal itself: the same twice, small, not root, says what is in it, and runs in shoal and in podman.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
images=$E2E_LIB/../../deploy/images
export SHOAL_IMAGES=$PWD/store
export CONTAINERS_STORAGE_CONF=$PWD/storage.conf
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' "$PWD" "$PWD" >storage.conf
version=$("$SHOAL" --version)

first=$(bash "$images/shoal.sh" one "$SHOAL")
expect_same "two builds have one digest" "$first" "$(bash "$images/shoal.sh" two "$SHOAL")"
if ldd "$SHOAL" | grep -q libasan; then limit=40; else limit=20; fi # a program under ASan is as large again
expect_true "it has at most $limit MB" test "$(du -sm one | cut -f1)" -lt $limit
expect_exit 0 "shoal imports it" "$SHOAL" image import one --as shoal
expect_exit 0 "and runs it" "$SHOAL" run -q --results here shoal --version
expect_same "it is this program" "$version" "$(cat here/stdout)"

# crun 1.8 fails for every container where it sees version 2 of control groups beside version 1.
apart=(unshare --mount bash -c 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' -)
inside () { # ARGUMENT…
  "${apart[@]}" podman run --rm --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none "$image" "$@"
}
image=$(podman pull -q oci:one)
expect_exit 0 "podman runs it" inside --version
expect_same "as this program" "$version" "$(<"$E2E_WORK/out")"
expect_exit 0 "as a worker" inside worker --help
expect_stdout '--slots|--jobs'
expect_exit 2 "a command that isn't one" inside nosuchcommand
expect_same "not as root" 10001:10001 "$(podman image inspect --format '{{.Config.User}}' "$image")"
expect_same "with the version in a label" "${version#shoal }" "$(podman image inspect --format '{{index .Config.Labels "org.opencontainers.image.version"}}' "$image")"
podman create -q --name seen "$image" >/dev/null
root=$(podman mount seen)
expect_true "certificates" test -s "$root/etc/ssl/certs/ca-certificates.crt"
expect_same "the agent of pods, static" "$(cksum <"$(dirname "$SHOAL")/worker/agent/agent")" "$(cksum <"$root/usr/libexec/shoal/agent")"
expect_exit 0 "which puts itself elsewhere" "$root/usr/libexec/shoal/agent" install "$PWD/agent"
expect_exit 0 "and works there" chroot "$PWD" /agent probe
expect_same "no shell" "" "$(find "$root" -name 'sh' -o -name bash -o -name busybox)"
# Each library is of a package that the list names.
expect_same "what is in it is listed" "" "$(/usr/bin/python3 - "$root" <<'END'
import json, pathlib, subprocess, sys
root = pathlib.Path(sys.argv[1])
listed = json.loads((root / "usr/share/doc/shoal/sbom.spdx.json").read_text())
assert listed["spdxVersion"] == "SPDX-2.3"
packages = {p["name"]: p["versionInfo"] for p in listed["packages"]}
contained = {r["relatedSpdxElement"] for r in listed["relationships"]}
assert contained == {p["SPDXID"] for p in listed["packages"]}, "each is said to be contained"
for file in root.rglob("*.so*"):
    path = "/" + str(file.relative_to(root))
    for place in path, "/usr" + path:
        owner = subprocess.run(["dpkg-query", "-S", place], capture_output=True, text=True).stdout.split(":")[0]
        if owner and owner not in packages:
            print(path, owner)
END
)"
podman umount seen >/dev/null
podman rm seen >/dev/null
