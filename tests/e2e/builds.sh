#!/bin/bash
# The scripts of deploy/ and tools/ that build programs: a step that fails ends them, and nothing half-made is left where a program is looked for.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
repository=$(cd "$E2E_LIB/../.." && pwd)
export XDG_CACHE_HOME=$PWD/cache TMPDIR=$PWD/tmp
mkdir bin tmp
export PATH=$PWD/bin:$PATH
# fake NAME LINE…: a program that notes its call and does LINE…
fake () {
  local name=$1
  shift
  { echo '#!/bin/bash'; echo 'echo "$(basename "$0") $*" >>"$CALLS"'; printf '%s\n' "$@"; } >"bin/$name"
  chmod +x "bin/$name"
}
export CALLS=$PWD/calls

# ---- programs of Go modules
made='while [ $# -gt 0 ]; do [ "$1" != -o ] || { printf "#!/bin/sh\n" >"$2"; chmod +x "$2"; }; shift; done; exit 0'
go () { # FAILING STEP…: a Go of which these steps fail
  fake go 'if [ "$1" = env ]; then echo go1.26.0; exit; fi' "case \"\$1 \${2%%/*}\" in $1) echo no such luck >&2; exit 1 ;; esac" "$made"
}
for step in 'mod\ tidy' 'get\ github.com' 'build\ -o'; do
  go "$step"
  expect_exit 1 "kubo isn't built where \`go $step\` fails" "$repository/deploy/storage/server.sh" build ipfs
  expect_stderr "ipfs couldn't be built, see $XDG_CACHE_HOME/shoal/ipfs-.*log"
  expect_stderr "no such luck"
  expect_same "… nothing is where it would be" "" "$(find cache/shoal -name 'ipfs-*' ! -name '*.log' ! -name '*.lock' ! -name '*.part' -printf '%f ')"
  expect_same "… nor in the temporary folder" "" "$(ls tmp)"
done
made='exit 0' go none
expect_exit 1 "a build that made nothing" "$repository/deploy/storage/server.sh" build ipfs
expect_stderr "ipfs couldn't be built"
made='while [ $# -gt 0 ]; do [ "$1" != -o ] || { printf "#!/bin/sh\n" >"$2"; chmod +x "$2"; }; shift; done; exit 0'
go none
expect_exit 0 "the next one makes it" "$repository/deploy/storage/server.sh" build ipfs
expect_true "… and it is there" test -x cache/shoal/ipfs-*/ipfs
: >calls
expect_exit 0 "once" "$repository/deploy/storage/server.sh" build ipfs
expect_same "… and no more" "" "$(cat calls)"

# ---- a newer librdkafka
vendor='mkdir -p vendor/rdkafka-sys/librdkafka/src; printf "#!/bin/sh\nexit \${CONFIGURES:-0}\n" >vendor/rdkafka-sys/librdkafka/configure; chmod +x vendor/rdkafka-sys/librdkafka/configure'
fake gcc 'exit 0'
fake make 'exit 0'
fake cargo 'echo no crate >&2; exit 1'
expect_exit 1 "librdkafka isn't built without its source" "$repository/tools/newer_librdkafka.sh"
expect_stderr "no crate"
fake cargo "$vendor"
CONFIGURES=1 expect_exit 1 "nor where configure fails" "$repository/tools/newer_librdkafka.sh"
expect_same "… and make isn't tried" "" "$(grep -v cargo calls)"
fake make 'echo no compiler >&2; exit 2'
expect_exit 1 "nor where make fails" "$repository/tools/newer_librdkafka.sh"
expect_stderr "no compiler"
fake make 'exit 0'
expect_exit 1 "nor where make made nothing" "$repository/tools/newer_librdkafka.sh"
expect_same "… nothing is where it would be" "" "$(find cache/shoal -name 'librdkafka-*' -type d ! -name '*.part')"
fake make 'touch src/librdkafka.so.1'
expect_exit 0 "the next one makes it" "$repository/tools/newer_librdkafka.sh"
expect_true "… and says where" test -f "$(cat ../out)/librdkafka.so.1"
