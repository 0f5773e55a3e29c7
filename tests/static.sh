#!/bin/bash
# What three analysers find in the program: gcc -fanalyzer, clang-tidy (bugprone-*, cert-*), cppcheck. Nothing new is let in.
#
#   tests/static.sh BUILD            BUILD has what cmake generates; a minute on two cores
#
# tests/static/TOOL.known has what was looked at and is no fault, a line each: FILE CHECK, and why. A finding that isn't there is printed and is the
# exit code 1; a line that nothing is found for any more is told of, to be taken out. Lines aren't named by number, which moves with every edit.
set -uo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 1 ] && [ -d "$1" ] || { echo "usage: $0 BUILD" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -ra flags < <(pkg-config --cflags avro-c sqlite3 jansson libcurl libcrypto rdkafka expat libmicrohttpd yaml-0.1 libseccomp | sed 's/-I/-isystem/g')
flags+=(-std=gnu17 -I. -I"$1" -D_GNU_SOURCE '-DSHOAL_VERSION="0"')
find common httpd schemas storage bus result policy producer worker merger cli -name '*.c' | sort >"$work/files"

# Checks that say nothing here: two parameters of one type are everywhere; -Wconversion (an error with us) tells of narrowing; glibc's scanf and ato*
# stop at their bounds, and what came from outside is held against what it may be.
checks='-*,bugprone-*,cert-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions,-cert-err34-c'

each () { # COMMAND…: with each file as the last word, two at a time
  xargs -a "$work/files" -n 1 -P "$(nproc)" "$@" 2>&1
}
# What each says, as FILE:LINE:…: TEXT [CHECK].
say_gcc () { each gcc "${flags[@]}" -O1 -fanalyzer -fdiagnostics-plain-output -S -o /dev/null; }
say_cppcheck () {
  cppcheck --quiet --std=c11 -j"$(nproc)" --enable=warning,portability,performance --library=tests/static/macros.cfg -I. \
    --template='{file}:{line}:{column}: {severity}: {message} [{id}]' --file-list="$work/files" 2>&1
}
say_clang-tidy () {
  xargs -a "$work/files" -P "$(nproc)" -I{} clang-tidy --quiet --checks="$checks" {} -- "${flags[@]}" 2>/dev/null
}

broken=0
for tool in gcc clang-tidy cppcheck; do
  command -v $tool >/dev/null || { echo "$tool isn't installed: tools/install.sh test" >&2; exit 2; }
  "say_$tool" | sed -E "s|$PWD/||; s|^\./||" | grep -E '^[^ :]+:[0-9]+:[0-9]+: [a-z]+: .*\[[^]]+\]$|: error: ' | grep -v ': note: ' \
    | sed -E 's/\[-W/[/' | sort -u >"$work/said"
  # FILE CHECK of each.
  sed -E 's/^([^:]+):.*\[([^]]+)\]$/\1 \2/' "$work/said" | sort -u >"$work/found"
  sed -E '/^(#|$)/d' "tests/static/$tool.known" | cut -d' ' -f1,2 | sort -u >"$work/known"
  comm -23 "$work/found" "$work/known" | while read -r file check; do
    grep -F "$file:" "$work/said" | grep -F "[$check]" || echo "$file $check"
  done >"$work/new"
  if [ -s "$work/new" ]; then
    echo "$tool finds what isn't in tests/static/$tool.known:"
    cat "$work/new"
    broken=1
  fi
  comm -13 "$work/found" "$work/known" | sed "s/^/tests\/static\/$tool.known: not found any more, take it out: /"
done
exit $broken
