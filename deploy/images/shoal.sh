#!/bin/bash
# shoal.sh LAYOUT [PROGRAM]: an OCI image of shoal itself, of this machine's Debian packages: the program (build/release/shoal), what it is linked with,
# crun and umoci with theirs, CA certificates. No shell. Runs as user 10001; the command decides which service it is. Prints the digest.
. "$(dirname "$0")/lib.sh"
[ $# -ge 1 ] && [ $# -le 2 ] || { echo "usage: $0 LAYOUT [PROGRAM]" >&2; exit 2; }
program=$(realpath "${2:-$(dirname "$0")/../../build/release/shoal}")
certificates=/etc/ssl/certs/ca-certificates.crt
[ -x "$program" ] || { echo "$0: $program isn't built: cmake --preset release && cmake --build --preset release" >&2; exit 1; }
need crun crun
need umoci umoci
need strip binutils
[ -e $certificates ] || { echo "$0: no $certificates (Debian package ca-certificates)" >&2; exit 1; }

# The shared libraries of FILES, and the loader, as paths from the root.
libraries_of () { # FILE…
  ldd "$@" | sed -n 's|.*=> /\([^ ]*\) (.*|\1|p; s|^\t/\([^ ]*ld-linux[^ ]*\) (.*|\1|p' | sort -u
}

root=$WORK/root
new_root "$root"
mkdir -p "$root"/usr/bin "$root"/etc/ssl/certs "$root"/usr/share/doc/shoal "$root"/scratch
chmod 1777 "$root/scratch"
echo shoal:x:10001:10001:shoal:/scratch:/usr/sbin/nologin >> "$root/etc/passwd"
echo shoal:x:10001: >> "$root/etc/group"
strip -o "$root/usr/bin/shoal" "$program"
# Of a build folder, or of an installed shoal.
agent=$(dirname "$program")/worker/agent/agent
[ -x "$agent" ] || agent=$(dirname "$program")/../libexec/shoal/agent
[ -x "$agent" ] || { echo "$0: no agent beside $program: neither worker/agent/agent nor ../libexec/shoal/agent" >&2; exit 1; }
mkdir -p "$root/usr/libexec/shoal"
cp "$agent" "$root/usr/libexec/shoal/agent"
chmod 755 "$root/usr/libexec/shoal/agent"
chmod 755 "$root/usr/bin/shoal"
tools=$(command -v crun; command -v umoci)
# shellcheck disable=SC2086
libraries_of "$program" $tools > "$WORK/files"
sed 's|^/||' <<< "$tools" >> "$WORK/files"
echo "${certificates#/}" >> "$WORK/files"
copy_files / "$root" < "$WORK/files"
cp "$(dirname "$0")/../../LICENSE" "$root/usr/share/doc/shoal/LICENSE"

# What is in it: SPDX 2.3, a package for each Debian package that a file is of.
version=$("$program" --version | sed 's/^shoal //')
package_of () { # PATH: NAME VERSION ARCHITECTURE
  dpkg-query -S "/$1" "/usr/$1" 2> /dev/null | head -1 | cut -d: -f1 | xargs -r dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' | head -1
}
while read -r file; do package_of "$file" || true; done < "$WORK/files" | sort -u > "$WORK/packages"
dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' ca-certificates >> "$WORK/packages"
fields='"downloadLocation":"NOASSERTION","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","copyrightText":"NOASSERTION"'
{
  printf '{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"shoal-%s",' "$version"
  printf '"documentNamespace":"https://spdx.org/spdxdocs/shoal-%s-%s",' "$version" "$(sha256sum < "$root/usr/bin/shoal" | cut -c1-32)"
  printf '"creationInfo":{"created":"1970-01-01T00:00:00Z","creators":["Tool: deploy/images/shoal.sh"]},\n"packages":['
  printf '{"SPDXID":"SPDXRef-shoal","name":"shoal","versionInfo":"%s","licenseDeclared":"MIT",%s}' "$version" "$fields"
  while read -r name version_of architecture; do
    printf ',\n{"SPDXID":"SPDXRef-deb-%s","name":"%s","versionInfo":"%s","licenseDeclared":"NOASSERTION",%s,' "${name//+/-plus}" "$name" "$version_of" "$fields"
    printf '"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:deb/debian/%s@%s?arch=%s"}]}' \
      "${name//+/%2B}" "${version_of//+/%2B}" "$architecture"
  done < "$WORK/packages"
  printf '],\n"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-shoal"}'
  while read -r name _; do
    printf ',\n{"spdxElementId":"SPDXRef-shoal","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-deb-%s"}' "${name//+/-plus}"
  done < "$WORK/packages"
  printf ']}\n'
} > "$root/usr/share/doc/shoal/sbom.spdx.json"

label=org.opencontainers.image
write_layout "$root" "$1" shoal "{\"User\":\"10001:10001\",\"Env\":[\"PATH=/usr/bin:/bin:/usr/sbin:/sbin\",\"HOME=/scratch\"],\"Entrypoint\":[\"/usr/bin/shoal\"],\"Cmd\":[\"help\"],\"WorkingDir\":\"/scratch\",\"StopSignal\":\"SIGTERM\",\"Labels\":{\"$label.title\":\"shoal\",\"$label.version\":\"$version\",\"$label.licenses\":\"MIT\",\"$label.description\":\"Runs one container image over very many input files\"}}"
