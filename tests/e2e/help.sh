#!/bin/bash
# --help of each command fits a screen and has an example; completions and the manual page know every option.
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
expect_exit 0 "--version" "$SHOAL" --version
expect_stdout '^shoal [0-9]+\.[0-9]+\.[0-9]+$'

options_of () { "$SHOAL" "$1" --help; [ "$1" != run ] || "$SHOAL" help options; }
words_of () { grep -oE -- '--[a-z][a-z-]+' | sort -u; }
for command in $commands; do
  for option in $(options_of "$command" | words_of); do
    expect_true "bash completes $command $option" grep -qE -- "$option\b" "$root/cli/shoal.bash"
    expect_true "zsh completes $command $option" grep -qE -- "$option\b" "$root/cli/_shoal"
    expect_true "the manual page has $option" grep -qF -- "${option//-/\\-}" "$root/docs/shoal.1"
  done
  expect_true "the manual page has $command" grep -q "^\.B shoal $command\b" "$root/docs/shoal.1"
done

complete () { # WORD…: what bash offers for the last one
  bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shoal; printf "%s\n" "${COMPREPLY[@]}"' \
    - "$root/cli/shoal.bash" "$@"
}
expect_same "bash: commands" resume "$(complete shoal resu)"
expect_same "bash: options of a command" "--batch-bytes --batch-size" "$(complete shoal run --batch | sort | tr '\n' ' ' | sed 's/ $//')"
expect_same "bash: values" "rename" "$(complete shoal merge --on-conflict re)"
if command -v zsh >/dev/null; then expect_true "zsh reads its file" zsh -n "$root/cli/_shoal"; else echo "SKIPPED: zsh isn't installed"; fi
if man -l "$root/docs/shoal.1" >/dev/null 2>"$E2E_WORK/err"; then ok "man reads the manual page"; elif command -v man >/dev/null; then fail "man -l"; else echo "SKIPPED: man isn't installed"; fi
