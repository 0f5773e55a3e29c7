#!/bin/bash
# An import and a pull that are interrupted or killed leave no process and no folder behind, and the store as it was.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
mkdir bin
own_store busybox
tar -C "$layout" -cf - . | gzip >oci.tgz
skopeo copy -q "oci:$layout" docker-archive:docker.tar:some:latest
"$SHOAL" image import "$layout" --as first
cp -r "$layout" other.oci
umoci config --image other.oci:latest --config.env MADE_BY=other
"$SHOAL" image list >before

# Programs that don't end: each writes half of what it is to write, and its number.
for program in skopeo umoci gzip cat; do
  cat >"bin/$program" <<END
#!/bin/sh
for last; do :; done
case $program in umoci) mkdir -p "\$last/bin" ;; skopeo) mkdir -p layout ;; esac
echo half >half
echo \$\$ >"$PWD/pid.part"
/bin/mv "$PWD/pid.part" "$PWD/pid"
exec sleep 600
END
  chmod 755 "bin/$program"
done
stuck () { # PROGRAM: PATH with that one in it
  mkdir -p "only.$1"
  cp "bin/$1" "only.$1/"
  echo "$PWD/only.$1:$PATH"
}
gone () { ! kill -0 "$1" 2>/dev/null; }
empty () { [ "$(find store/tmp -mindepth 1 | wc -l)" = 0 ]; }

# killed SIGNAL EXIT PROGRAM OPERAND…: while PROGRAM runs for `shoal image OPERAND…`.
killed () {
  local signal=$1 code=$2 program=$3 importer tool
  shift 3
  rm -f pid
  env --default-signal=INT PATH="$(stuck "$program")" setsid "$SHOAL" image "$@" </dev/null >said 2>&1 &
  importer=$!
  wait_for "$program" test -s pid
  tool=$(<pid)
  kill "-$signal" $importer
  expect_end "$code" "SIG$signal while $program runs: exit $code" $importer
  wait_for "the end of $program" gone "$tool"
  ok "… $program ends"
  wait_for "the folder's end" empty
  ok "… its folder goes"
  expect_same "… the store is as it was" "$(<before)" "$("$SHOAL" image list)"
}
for signal in INT TERM HUP; do
  killed $signal 130 umoci import other.oci --as x
  grep -q "interrupted: no image was added" said && ok "… it is said" || fail "… it isn't said: $(<said)"
done
killed KILL 137 umoci import other.oci --as x
killed KILL 137 gzip import oci.tgz --as x
killed TERM 130 gzip import oci.tgz --as x
killed KILL 137 skopeo import docker.tar --as x
killed INT 130 skopeo pull registry.invalid/tool
killed KILL 137 skopeo pull registry.invalid/tool
killed TERM 130 cat import - --as x

# SIGHUP that was ignored stays ignored.
rm -f pid
env PATH="$(stuck umoci)" setsid bash -c 'trap "" HUP; exec "$@"' - "$SHOAL" image import other.oci --as x >said 2>&1 &
importer=$!
wait_for "umoci" test -s pid
kill -HUP $importer
sleep 0.3
expect_true "under nohup a hangup ends nothing" kill -0 $importer
kill -TERM $importer
expect_end 130 "… but SIGTERM does" $importer

# Both processes at once: what is left goes with the next command.
rm -f pid
env PATH="$(stuck umoci)" setsid "$SHOAL" image import other.oci --as x >said 2>&1 &
importer=$!
wait_for "umoci" test -s pid
tool=$(<pid)
kill -KILL -- -$importer
wait $importer || true
wait_for "the end of umoci" gone "$tool"
ok "all of it killed at once: umoci ends"
expect_exit 0 "the next import" "$SHOAL" image import other.oci --as x
expect_true "… sweeps" empty
