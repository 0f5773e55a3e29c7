#!/bin/bash
# --help of each command fits a screen and has an example; the manual page knows every option, completions offer them.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
root=$(cd "$E2E_LIB/../.." && pwd)
names=$("$SHOAL" --help | sed -n 's/^  shoal \([a-z]*\)  *[a-z].*/\1/p')
commands=$(grep -vx help <<<"$names")
expect_true "--help lists the commands" test "$(wc -l <<<"$commands")" -ge 13

for command in $names; do
  expect_exit 0 "$command --help" "$SHOAL" "$command" --help
  expect_same "… has at most 40 lines" "" "$(sed -n '41p' "$E2E_WORK/out")"
  expect_same "… of at most 100 columns" "" "$(grep -E '.{101}' "$E2E_WORK/out")"
  expect_stdout "^  shoal $command"
  expect_same "… is what help $command prints" "$(cat "$E2E_WORK/out")" "$("$SHOAL" help "$command")"
done
for topic in options exit-codes patterns environment; do
  expect_exit 0 "help $topic" "$SHOAL" help $topic
done
# What the code names in quotes it reads, or sets for the parts that it starts.
variables_in () { grep -rhoE '"(SHOAL|AWS)_[A-Z0-9_]+"' "$@" --include='*.c' | tr -d '"' | grep -vx SHOAL_SHARD_COUNT | sort -u; }
variables=$(cd "$root" && variables_in bus cli common httpd merger policy producer result schemas storage worker)
expect_true "the code reads variables" test "$(wc -l <<<"$variables")" -ge 40
expect_same "help environment has what the code reads, and no other" "$variables" \
  "$("$SHOAL" help environment | sed '/^Environment of a container/,$d' | grep -oE '(SHOAL|AWS)_[A-Z0-9_]+' | sort -u)"
for variable in $(grep ^SHOAL_ <<<"$variables"); do
  expect_true "the manual page has $variable" grep -qE "^\.BR? .*\b$variable\b" "$root/docs/shoal.1"
done
expect_exit 0 "--version" "$SHOAL" --version
expect_stdout '^shoal [0-9]+\.[0-9]+\.[0-9]+$'

options_of () {
  "$SHOAL" "$1" --help
  case $1 in run | plan | submit) "$SHOAL" help options ;; esac
}
# What the help of a command says of each option: from its 31st byte on.
texts_of () { LC_ALL=C sed -nE 's/^.{28}  ([^ (].*)/\1/p'; }
manual=$(sed "s/\\\\-/-/g; s/\\\\(aq/'/g; s/\.\.\./…/g" "$root/docs/shoal.1")
words_of () { grep -oE -- '--[a-z][a-z0-9-]+' | sort -u; }
for command in $commands; do
  for option in $(options_of "$command" | words_of); do
    expect_true "the manual page has $option" grep -qF -- "${option//-/\\-}" "$root/docs/shoal.1"
  done
  expect_true "the manual page says what $command does" \
    grep -qiF -- "$("$SHOAL" "$command" --help | sed -n 3p)" <<<"$manual"
  while read -r text; do
    expect_true "the manual page says: $text" grep -qiFx -- "$text." <<<"$manual"
  done < <(options_of "$command" | texts_of | sort -u)
  expect_true "the manual page has $command" grep -q "^\.B shoal $command\b" "$root/docs/shoal.1"
done

# What only a worker reads is no option of a command that runs none.
expect_same "merge offers no option of a worker" "" \
  "$(comm -12 <(options_of merge | words_of) <(comm -23 <(options_of worker | words_of) <(options_of merger | words_of)))"

complete () { # WORD…: what bash offers for the last one
  bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shoal; printf "%s\n" "${COMPREPLY[@]}"' \
    - "$root/cli/shoal.bash" "$@"
}
for command in $commands; do
  expect_same "bash completes $command's options" "$( (options_of "$command" | words_of; echo --help) | sort -u)" \
    "$(complete "$SHOAL" "$command" -- | sort -u)"
done
expect_same "bash: commands" resume "$(complete "$SHOAL" resu)"
expect_same "bash: options of a command" "--batch-bytes --batch-size" "$(complete "$SHOAL" run --batch | sort | tr '\n' ' ' | sed 's/ $//')"
expect_same "bash: actions" "check create" "$(complete "$SHOAL" topics c | sort | tr '\n' ' ' | sed 's/ $//')"
expect_same "bash: values" "rename" "$(complete "$SHOAL" merge --on-conflict re)"

mkdir results files
cd results
mkdir -p ended/.shoal unfinished.partial/.shoal folder
cd ..
use_images busybox
expect_true "bash: images" grep -qx busybox <<<"$(complete "$SHOAL" run bus)"
expect_true "bash: images to remove" grep -qx busybox <<<"$(complete "$SHOAL" image remove bus)"
expect_same "bash: results" "results/ended results/folder/ results/unfinished" "$(complete "$SHOAL" logs results/ | sort | paste -sd ' ')"

zcomplete () { # WORD…: what zsh offers for the last one, by stand-ins for its completion system's functions
  zsh -f -c 'compadd () { if [ "$1" = -a ]; then print -l -- ${(P)2}; else [ "$1" != -- ] || shift; print -l -- "$@"; fi }
    _describe () { print -l -- ${(P)2} }
    _files () { print FILES }
    file=$1; shift; words=("$@"); CURRENT=$#words; . "$file"' - "$root/cli/_shoal" "$@"
}
for command in $commands; do
  expect_same "zsh completes $command's options" "$(options_of "$command" | words_of)" "$(zcomplete "$SHOAL" "$command" -- | sort -u)"
done
expect_same "zsh: commands" "$commands" "$(zcomplete "$SHOAL" "" | sed 's/:.*//' | grep -vx help)"
expect_same "zsh: values" "concat fail first last rename" "$(zcomplete "$SHOAL" merge --on-conflict "" | sort | paste -sd ' ')"
expect_true "zsh: images" grep -qx busybox <<<"$(zcomplete "$SHOAL" run "")"
expect_same "zsh: results" "results/ended results/folder/ results/unfinished" "$(zcomplete "$SHOAL" logs results/ | sort | paste -sd ' ')"
expect_exit 0 "man reads the manual page" man -l "$root/docs/shoal.1"
expect_same "without a complaint" "" "$(cat "$E2E_WORK/err")"
