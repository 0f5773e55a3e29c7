#!/bin/bash
# What people put into a result survives a merge that fails at any call or is killed at any moment, and so does the result.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
make_files in 3
ROUNDS=${SHOAL_KILL_ROUNDS:-20}
RANDOM=${SHOAL_SEED:=$((SRANDOM % 32768))}
echo "SHOAL_SEED=$SHOAL_SEED"
mkdir gate
job () { "$SHOAL" run -q -v in:/in --volume-shared gate:/gate -o res:/out --glob '*.txt' --retries 0 --runtime process --results "$1" any \
  sh -c 'mkdir /out/d && echo "$SHOAL_SHARD_INDEX" >"/out/d/$SHOAL_SHARD_INDEX"; test -e /gate/open || test "$SHOAL_SHARD_INDEX" != 2'; }
mess () { # FOLDER
  mkdir -p "$1/plots/deep" "$1/outputs/res/d/mine" "$1/shards/mine"
  for file in NOTES plots/deep/a outputs/top outputs/res/d/mine/b outputs/res/d/beside shards/mine/c; do echo "$file" >"$1/$file"; done
}
# What is wrong with what was put into FOLDER.
lost () { # FOLDER
  for file in NOTES plots/deep/a outputs/top outputs/res/d/mine/b outputs/res/d/beside shards/mine/c; do
    [ "$(cat "$1/$file" 2>&1)" = "$file" ] || echo "$file is lost"
  done
}
# What is wrong with the result RESULT, whole or not.
broken () { # RESULT
  local folder=$1 i
  "$SHOAL" status "$1" >/dev/null || echo "no status"
  [ -e "$1" ] || folder=$1.partial
  lost "$folder"
  [ ! -e "$folder/manifest.json" ] || [ ! -e "$1" ] || for i in 0 1; do
    [ "$(cat "$folder/outputs/res/d/$i" 2>&1)" = $i ] || echo "output $i isn't there"
  done
}
left () { find "$1" . -maxdepth 2 \( -name 'build.*' -o -path "$1/.shoal/manifest.*" -o -name "*shoal-exchange" \) 2>/dev/null; }

touch gate/open
job whole
mess whole
rm gate/open
! job failed || exit 1
mess failed.partial
touch gate/open
mkdir kept
mv whole failed.partial kept/

# start RESULT: merges or retries it, as it was at first, as a process group of its own. Sets $try.
start () {
  find . -maxdepth 1 -name "*$1*" -exec rm -rf {} +
  cp -a kept/"$1"* .
  local verb=merge
  [ "$1" = whole ] || verb=retry
  setsid "$SHOAL" $verb --progress none "$1" >try.out 2>try.err </dev/null &
  try=$!
}
# A retry that was cut off before it was written down is given once more.
mend () { # RESULT
  "$SHOAL" resume -q "$1" || true
  [ -e "$1" ] || "$SHOAL" retry -q "$1"
  "$SHOAL" merge -q "$1"
}
# After whatever happened: nothing is lost, and the next merge brings all of it.
check () { # RESULT WHAT
  local wrong
  wrong=$(broken "$1")
  [ -n "$wrong" ] || mend "$1" >again.out 2>&1 || wrong="not mended: $(cat again.out)"
  wrong=$wrong$(lost "$1")$(left "$1")$(for i in 0 1 2; do [ "$(cat "$1/outputs/res/d/$i" 2>&1)" = $i ] || echo "output $i isn't there"; done)
  [ -z "$wrong" ] || fail "$1, $2: $wrong"
}

export SHOAL_LOG=warn
for result in whole failed; do
  for call in rename link mkdir fsync write; do
    for ((nth = 1; nth < 400; nth += nth < 12 ? 1 : nth / 3)); do
      SHOAL_FAULT=$call:$nth:5 start $result
      wait $try || true
      fired=$(grep -c event=fault_fired try.err || true)
      check $result "$call $nth"
      [ "$fired" -gt 0 ] || break
    done
    expect_true "$result: $call failed at $((nth - 1)) places" test "$nth" -gt 1
  done
  # Killed within the time that a whole try takes here, in milliseconds.
  begin=$(date +%s%N)
  start $result
  wait $try || true
  span=$((($(date +%s%N) - begin) / 1000000 + 1))
  check $result "a whole try"
  killed=0
  for ((round = 0; round < ROUNDS; round++)); do
    start $result
    read -rt "0.$(printf %03d $((RANDOM % span)))" <> <(:) || true
    ! kill -9 -- -$try 2>/dev/null || killed=$((killed + 1))
    wait $try 2>/dev/null || true
    wait_for "its parts to be gone" sh -c '! pgrep -f "[-]-parent=$1( |$)" >/dev/null' - $try
    check $result "killed in round $round"
  done
  expect_true "$result: $killed of $ROUNDS killed within $span ms" test "$killed" -gt $((ROUNDS / 4))
done
