#!/bin/bash
# The rules of the house that a compiler doesn't know. Prints what breaks them; no output and 0 when nothing does.
set -u
shopt -s lastpipe # `rule` is the last of each pipeline and sets `broken`
cd "$(dirname "$0")/.." || exit 1
broken=0

# rule TEXT: standard input has what breaks it, one a line.
rule () {
  local found
  found=$(cat)
  [ -n "$found" ] || return 0
  printf '%s\n%s\n\n' "$1" "$found"
  broken=1
}

sources () {
  find bus cli common httpd merger policy producer result schemas storage tests worker -name '*.[ch]' "$@" | sort
}

find . \( -path ./.git -o -path ./build -o -path ./quickstart-data \) -prune -o -type f -name '*.[ch]' -printf '%h\n' \
  | sort -u | grep -v '^\./tests' | while read -r folder; do
    [ -f "$folder/README.md" ] || echo "$folder"
  done | rule "Every folder of code has a README.md:"

sources | xargs wc -l | awk '$2 != "total" && $1 > 600 && $2 !~ /^tests\// {print $2 ": " $1 " lines"}' \
  | rule "A file of more than 600 lines has a second noun inside:"

sources -name '*.h' ! -path 'tests/*' | xargs wc -l | awk '$2 != "total" && $1 > 200 {print $2 ": " $1 " lines"}' \
  | rule "A header of more than 200 lines has a second subject:"

find common -name '*.[ch]' -exec cat {} + | wc -l | awk '$1 > 6000 {print $1 " lines"}' \
  | rule "common/ has at most 6,000 lines: what isn't common belongs to the room that owns it:"

# A function begins with the line "{" and ends with the line "}".
sources ! -path 'tests/*' | xargs awk 'FNR == 1 { start = 0 } /^{$/ { start = FNR } /^}$/ {
  if (start && FNR - start - 1 > 60) print FILENAME ":" start ": " FNR - start - 1 " lines"; start = 0 }' \
  | rule "A function has at most 60 lines:"

python3 tests/house/names.py | rule "A static function's name, or a struct's tag, is in one file only (file names behind it):"

sources | xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b' | rule "Nothing is left undone:"

for header in $(sources -name '*.h' ! -path 'tests/*'); do
  name=$(basename "$header")
  head -1 "$header" | grep -qF "/* $name" || echo "$header"
done | rule "A header says in its first line what it is (/* NAME.h — …):"

sources | xargs clang-format --dry-run 2>&1 | grep -E 'warning: code should be' | cut -d: -f1 | sort | uniq -c \
  | rule "clang-format -i FILE (places, file):"

# prose FILE...: the lines of Markdown that are neither of a table or heading nor of a code block.
prose () {
  awk 'FNR == 1 { fenced = 0; blank = 1; code = 0 }
       /^ *```/ { fenced = !fenced; next }
       fenced { next }
       /^ *$/ { blank = 1; next }
       /^    / && (blank || code) { code = 1; next }
       { blank = code = 0 }
       /^ *[|#]/ { next }
       { print FILENAME ":" FNR ": " $0 }' "$@"
}

pages () {
  find . \( -path ./.git -o -path ./build -o -path ./quickstart-data \) -prune -o -name '*.md' -print | sort
}

pages | while read -r page; do prose "$page"; done | LC_ALL=C.UTF-8 grep -P '^[^:]*:[0-9]+: .{101}' | cut -d: -f1-2 \
  | rule "Prose of a page has 100 columns (tables, headings and code may have more):"

pages | while read -r page; do
  grep -noE '\]\([^):#]+' "$page" | sed 's/](//' | grep -v ':https\?$' | while IFS=: read -r line target; do
    [ -e "$(dirname "$page")/$target" ] || echo "$page:$line: $target"
  done
done | rule "A page leads to files that there are:"

sources ! -path 'tests/*' | while read -r file; do
  name=$(basename "$file")
  grep -qE "(^|[^A-Za-z0-9_])${name%.*}([^A-Za-z0-9_]|\$)" "$(dirname "$file")/README.md" || echo "$file"
done | rule "A folder's README.md has a line for each of its files:"

digest=$(deploy/kubernetes/chart_digest.sh)
for file in deploy/kubernetes/plain/shoal.yaml deploy/kubernetes/keda/scaling.yaml; do
  head -1 "$file" | grep -qF " $digest:" || echo "$file"
done | rule "The plain manifests are what the chart gives (deploy/kubernetes/render.sh):"

version=$(sed -nE 's/^project \(shoal VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
grep -HnE '^(version|appVersion):' deploy/helm/shoal/Chart.yaml | grep -vE ": $version$" | rule "The chart has the program's version, $version:"

# Words that no engineer of this field would use for it; docs/glossary.md has the others.
phrases='somebody|nobody|whoever|so many|so often|by heart|comes? to nothing|came to nothing'
{
  sources ! -path 'tests/*' ! -name '*.h' | xargs grep -nHE "\"[^\"]*\\b($phrases)\\b"
  pages | grep -v '^./findings/' | xargs grep -nHE "\\b($phrases)\\b"
} | rule "Texts that users read are in the words of the field:"

# Of several words with commas between them the first counts; what is in parentheses says in which sense.
sed -n 's/^| \([a-z][a-z -]*\)[,(|].*/\1/p' docs/glossary.md | grep -vx 'word *' | sed 's/ *$//' | while read -r word; do
  sources ! -path 'tests/*' | xargs grep -qiE "(^|[^A-Za-z])${word// /[ _]}s?([^A-Za-z]|\$)" || echo "$word"
done | rule "docs/glossary.md has words that the code still uses:"

exit $broken
