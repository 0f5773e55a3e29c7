#!/bin/bash
# Limits under version 2 of control groups, where a machine has version 1: in one of its own that qemu computes (no KVM), with Debian's kernel and a file system
# of this machine's programs. Its first process is cgroup2_machine.sh; what it says on the serial port is judged here. 20 minutes on a busy machine.
# SHOAL_OUTPUTS: how many files the largest job makes (300000). SHOAL_PARTS: of "groups containers slots limits". SHOAL_KEEP: a folder that gets what the machine
# said.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
source=$(realpath "$E2E_LIB/../..")
build=$(dirname "$SHOAL")
kernel=$(printf '%s\n' /boot/vmlinuz-*-cloud-amd64 | sort -V | tail -1)
version=${kernel#/boot/vmlinuz-}
root=$PWD/root
parts=${SHOAL_PARTS:-groups containers slots limits}
E2E_SECONDS=3600

# ---- a file system with programs, and with what of the source tree and the build the tests need, at the same places
copy () { # PROGRAM|FILE…: with the libraries that it needs; what is a link here is a file there
  local file
  for file; do
    mkdir -p "$root$(realpath "$(dirname "$file")")"
    cp -L "$file" "$root$(realpath "$(dirname "$file")")/$(basename "$file")"
  done
}
libraries () { ldd "$@" 2>/dev/null | grep -oE '/[^ :]+\.so[^ :]*' | sort -u || true; }
mkdir -p "$root"/{usr/{bin,sbin,lib,lib64},proc,sys,dev,run,tmp,var/tmp,var/lib,etc,root,cache/layouts}
chmod 1777 "$root/tmp" "$root/var/tmp"
for folder in bin sbin lib lib64; do ln -s usr/$folder "$root/$folder"; done
mapfile -t programs < <(dpkg -L bash dash coreutils grep sed findutils procps util-linux mount crun runc umoci skopeo | grep -E '^(/usr)?/s?bin/' |
  while read -r file; do [ ! -f "$file" ] || echo "$file"; done)
[ -e "$root/usr/bin/sh" ] || programs+=(/bin/sh)
tests=("$build"/tests/test_integration_worker_{cgroup,container} "$build"/tests/probe_*)
mapfile -t needed < <(libraries "${programs[@]}" "${tests[@]}" "$SHOAL")
copy "${programs[@]}" "${tests[@]}" "$SHOAL" "${needed[@]}" /bin/busybox
copy "$build/worker/agent/agent"
mkdir -p "$root$source"
cp -r "$source/tests" "$source/deploy" "$root$source/"
cp -r /etc/containers "$root/etc/" 2>/dev/null || true
printf 'root:x:0:0::/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/bin/sh\n' >"$root/etc/passwd"
echo "nameserver 127.0.0.1" >"$root/etc/resolv.conf"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
bash "$E2E_LIB/images.sh" "$PWD/layouts" busybox >/dev/null
cp -r layouts/busybox "$root/cache/"
cp -r layouts/busybox "$root/cache/layouts/"
cat >"$root/etc/machine.sh" <<END
source=$source
build=$build
outputs=${SHOAL_OUTPUTS:-300000}
parts="$parts"
END
install -m 755 "$source/tests/long/cgroup2_machine.sh" "$root/init"
truncate -s 3G disk
expect_exit 0 "a file system" mke2fs -q -t ext4 -d "$root" -E root_owner=0:0 disk

# ---- what the kernel needs to see it
mkdir -p first/{bin,modules,dev,root}
cp /bin/busybox first/bin/
number=10
for module in virtio_blk virtio_pci overlay; do
  for file in $(modprobe -S "$version" --show-depends "$module" | sed -n 's/^insmod \(.*\.ko\) *$/\1/p'); do
    cp "$file" "first/modules/$((number += 1)).ko"
  done
done
cat >first/init <<'END'
#!/bin/busybox sh
for module in /modules/*; do /bin/busybox insmod "$module" 2>/dev/null; done
/bin/busybox mount -t devtmpfs dev /dev
until [ -e /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /root || exec /bin/busybox reboot -f
exec /bin/busybox switch_root /root /init
END
chmod 755 first/init
mkdir -p first/bin
(cd first && ln -s busybox bin/sh && find . | cpio -o -H newc --quiet) >first.cpio

# ---- it runs
timeout 3600 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nodefaults -no-user-config -display none -no-reboot -serial file:said \
  -kernel "$kernel" -initrd first.cpio -append "console=ttyS0 panic=-1 quiet loglevel=1" -drive file=disk,format=raw,if=virtio,cache=unsafe >qemu.log 2>&1 </dev/null &
machine=$!
at_end "kill $machine 2>/dev/null || true"
wait_for "the machine's end" e2e_gone $machine || true
wait $machine || true
tr -d '\r' <said >"$E2E_WORK/out"
: >"$E2E_WORK/err"
[ -z "${SHOAL_KEEP:-}" ] || cp "$E2E_WORK/out" "$SHOAL_KEEP/cgroup2.log"
expect_stdout '^cgroup2 is mounted at /sys/fs/cgroup$'
for part in $parts; do
  expect_stdout "^--- $part: exit 0$"
done
# By runc, and as a user to whom nothing was handed over, there are none.
expect_same "nothing was skipped" "" "$(grep SKIPPED "$E2E_WORK/out" | grep -v 'limits need crun\|Permission denied' || true)"
expect_stdout '^the machine has done all$'
grep -E '^(ok  |FAIL|---|\[  FAILED|.* passed, .* failed)' "$E2E_WORK/out" | sed 's/^/  machine: /'
