#!/bin/bash
# What strangers write to a fleet's topics, as keys, text, names of writers, reasons, speaks to nobody's terminal: neither by the services' logs nor by commands.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
make_files in 2
EVIL=$(printf 'e\033]0;owned\007\033[2J\nlevel=error event=forged \302\23331m\342\200\256\342\200\250\177\rx')
place=$SHOAL_TEST_KAFKA/terminal-$$-$RANDOM
export SHOAL_BUS=kafka://$place SHOAL_LOG=debug
upstream () { "$E2E_PYTHON" "$E2E_LIB/upstream.py" "$1" "$place" "${@:2}"; }
"$SHOAL" topics create --partitions 1 >/dev/null 2>topics.err
for topic in jobs shards events control status claims; do upstream garbage $topic "not of $topic $EVIL" "$EVIL"; done
pids=()
at_end '[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null'
for part in producer merger worker; do
  "$SHOAL" $part --lease 2s >>services.out 2>>services.err &
  pids+=($!)
done
expect_exit 0 "a job is submitted" "$SHOAL" submit --id job -v "$PWD/in:/in" --glob '*.txt' --retries 0 --runtime process --results "$PWD/job" x false
expect_exit 1 "and fails" timeout 60 "$SHOAL" watch -q job
has_letters () { [ "$("$SHOAL" dead list 2>/dev/null | grep -c undecodable)" -ge 4 ]; }
wait_for "what nobody can read is a letter" has_letters
{
  "$SHOAL" dead list
  "$SHOAL" dead list | sed -n 's/^\([^\t]*\.[a-z]*\/[0-9]*\/[0-9]*\)\t.*/\1/p' >names
  while read -r name; do "$SHOAL" dead show "$name"; done <names
  "$SHOAL" list
  "$SHOAL" status job
  "$SHOAL" status "$EVIL" || true
  "$SHOAL" report job
} >said 2>&1
kill "${pids[@]}"
wait "${pids[@]}" || true
pids=()
expect_true "the key is shown" grep -qF 'key        e\x1b]0;owned\x07\x1b[2J\nlevel=error' said
expect_true "the services speak of it" grep -qF 'dead_lettered' services.err
for file in said services.err services.out topics.err; do
  expect_same "nothing in $file steers a terminal" "" "$(python3 - "$file" <<'END'
import re, sys
text = open(sys.argv[1], "rb").read().decode() # what isn't UTF-8 ends it here
found = re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|^level=error.*", text, re.M)
print(repr(text[max(0, found.start() - 60):found.start() + 40]) if found else "", end="")
END
)"
done
