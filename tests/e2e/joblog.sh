#!/bin/bash
# --joblog: GNU parallel reads it, and goes on from it.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
make_files in 5
# What process runs as the image's name.
printf '#!/bin/sh\nexec "$@"\n' >any
chmod +x any
script='echo "ran $SHOAL_SHARD_INDEX" >&2
case $SHOAL_SHARD_INDEX in 1) exit 7;; 2) kill -9 $$;; 3) exit 3;; 4) sleep 30;; esac
# a second line'
expect_exit 1 "a job with every kind of end" "$SHOAL" run -v in:/in --glob '*.txt' -j 1 --retries 0 --success-codes 3 --timeout 500ms --stop-timeout 100ms \
  --joblog log --results r --runtime process any sh -c "$script"
expect_same "a line for each attempt, and the heading" 6 "$(wc -l <log)"
expect_same "Seq, Exitval and Signal are parallel's" "1 0 0|2 7 0|3 0 9|4 0 0|5 -1" \
  "$(tail -n +2 log | awk -F'\t' '{ print $1, $7 ($7 == -1 ? "" : " " $8) }' | paste -sd '|')"

cp log resumed
expect_same "--resume runs nothing of it" "" "$(parallel --resume --joblog resumed echo ::: 1 2 3 4 5 2>/dev/null)"
cp log resumed
expect_same "--resume-failed runs what failed" "2 3 5" "$(parallel -k --resume-failed --joblog resumed echo ::: 1 2 3 4 5 2>/dev/null | paste -sd ' ')"
cp log retried
PATH=$PWD:$PATH SHOAL_SHARD_INDEX=0 parallel -j1 --retry-failed --joblog retried >out 2>err </dev/null || true
expect_same "--retry-failed runs its commands" "ran 0|ran 0|ran 0" "$(grep ^ran err | paste -sd '|')"
expect_same "… which succeed now" 3 "$(tail -n +7 retried | awk -F'\t' '$7 == 0 && $8 == 0' | wc -l)"
