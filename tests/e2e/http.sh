#!/bin/bash
# Inputs behind HTTP: folders as nginx lists them, lists of URLs, single files, next to local ones; a cache; what is said when something is wrong.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
: "${SHOAL_TEST_HTTP:?is not set: tests/run.sh sets it, deploy/storage/server.sh start nginx brings such a server up}"
there=$(mktemp -d "$SHOAL_TEST_HTTP_ROOT/e2e-XXXXXX")
at_end 'rm -rf "$there"'
chmod 755 "$there"
name=$(basename "$there")
make_files "$there/a" 30
make_files "$there/b/c" 20 g
head -c 50000000 /dev/urandom >"$there/large.txt"
printf 'odd' >"$there/a/ümläut & <x> #1%41.txt"
deep () { "$SHOAL" run "$@" busybox sh -c 'cd /in && find . -type f | while read -r f; do mkdir -p "/out/$(dirname "$f")" && cp "$f" "/out/$f"; done'; }

for format in html json; do
  url=$SHOAL_TEST_HTTP/$format/$name/
  expect_exit 0 "a folder listed in $format" deep -v "$url:/in" -o res:/out --glob '**/*.txt' --batch-size 7 --results "folder-$format"
  expect_true "… comes as it is" diff -r "$there" "folder-$format/outputs/res"
done
expect_exit 0 "a part of it" deep -v "$SHOAL_TEST_HTTP/json/$name/:/in" -o res:/out --glob 'b/**/g00*.txt' --batch-size 100 --results part
expect_same "… is what matches" 9 "$(find part/outputs/res -type f | wc -l)"

expect_exit 0 "one file" deep -v "$SHOAL_TEST_HTTP/files/$name/large.txt:/in" -o res:/out --glob '*' --results one
expect_true "… byte by byte" cmp "$there/large.txt" one/outputs/res/large.txt
expect_exit 0 "one file that its server names" deep -v "$SHOAL_TEST_HTTP/named/$name/large.txt:/in" -o res:/out --glob '*' --results named
expect_true "… has that name" cmp "$there/large.txt" named/outputs/res/nämed.jpg

{
  printf '{"url": "a/f001.txt", "path": "x/first.txt", "size": 2, "sha256": "%s"}\n' "$(sha256sum <"$there/a/f001.txt" | cut -d' ' -f1)"
  printf '{"url": "%s/files/%s/b/c/g002.txt"}\n' "$SHOAL_TEST_HTTP" "$name"
} >"$there/index.json"
expect_exit 0 "a list of URLs" deep -v "$SHOAL_TEST_HTTP/files/$name/index.json:/in" -o res:/out --glob '**/*.txt' --results list
expect_same "… names them" "$(printf 'b/c/g002.txt\nx/first.txt')" "$(cd list/outputs/res && find . -type f | cut -c3- | sort)"

make_files local 5 h
expect_exit 0 "together with a local folder" deep -v "$SHOAL_TEST_HTTP/json/$name/a/:/in/one" -v "$PWD/local:/in/two" -o res:/out \
  --glob '**/*.txt' --batch-size 4 --results both
expect_same "… all of both" 36 "$(find both/outputs/res -type f | wc -l)"

export SHOAL_CACHE_DIR=$PWD/cache
expect_exit 0 "with a cache" deep -v "$SHOAL_TEST_HTTP/json/$name/:/in" -o res:/out --glob '**/*.txt' --batch-size 7 --results cached-1
expect_exit 0 "and again" deep -v "$SHOAL_TEST_HTTP/json/$name/:/in" -o res:/out --glob '**/*.txt' --batch-size 5 --results cached-2
expect_true "… is the same" diff -r cached-1/outputs cached-2/outputs
expect_exit 1 "a container that writes into its inputs" "$SHOAL" run -v "$SHOAL_TEST_HTTP/json/$name/:/in" -o res:/out --glob '**/*.txt' --retries 0 --results wrote \
  busybox sh -c 'for f in /in/*/*.txt; do echo changed >"$f" || exit 1; done'
expect_exit 0 "… changes nothing" deep -v "$SHOAL_TEST_HTTP/json/$name/:/in" -o res:/out --glob '**/*.txt' --batch-size 9 --results cached-3
expect_true "… in the cache" diff -r cached-1/outputs cached-3/outputs
unset SHOAL_CACHE_DIR

expect_exit 2 "a folder that isn't there" deep -v "$SHOAL_TEST_HTTP/json/no-such/:/in" -o res:/out --glob '*' --results no
expect_stderr 'no-such/: HTTP 404'
expect_exit 2 "a URL with secrets" deep -v "${SHOAL_TEST_HTTP/:\/\//://me:geheim@}/files/$name/none?token=verborgen:/in" -o res:/out --glob '*' --results no
expect_true "… that stay so" bash -c "! grep -E 'geheim|verborgen' '$E2E_WORK/err'"
secret="${SHOAL_TEST_HTTP/:\/\//://me:secret@}/private/$name/a/?token=verborgen:/in"
expect_exit 0 "a plan with secrets" "$SHOAL" plan -v "$secret" -o res:/out --glob 'f*' busybox true
expect_true "… shows none" bash -c "! grep -E 'secret|verborgen' '$E2E_WORK/out' '$E2E_WORK/err'"
"$SHOAL" run -v "$secret" -o res:/out --glob 'f001*' --results shown busybox sleep 2 >/dev/null 2>&1 &
shown=$!
wait_for "a job that runs" test -e shown.partial/.shoal/bus.db
expect_true "its line in the list of processes" grep -qz -- shown "/proc/$shown/cmdline"
expect_true "… has no password" bash -c '! tr "\0" " " <"/proc/$1/cmdline" | grep -E "secret|verborgen"' - $shown
wait $shown || true
SHOAL_LOG=debug expect_exit 0 "a job behind a password" deep -v "$secret" -o res:/out --glob 'f*' --results private
expect_same "… has a database for its owner only" 600 "$(stat -c %a private/.shoal/bus.db)"
expect_same "… has its inputs" 30 "$(find private/outputs/res -type f | wc -l)"
expect_true "… and shows no password" bash -c "! grep -rE 'secret|verborgen' '$E2E_WORK/out' '$E2E_WORK/err' private --exclude-dir=.shoal"
