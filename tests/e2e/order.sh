#!/bin/bash
# --order size: the largest shards run first, on one machine and on a fleet, and the result is the same, byte by byte.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
: "${SHOAL_TEST_KAFKA:?is HOST:PORT of a broker for tests, as deploy/kafka/dev.sh start brings up}"
# A few large files, many small ones (Zipf), anywhere among them; two are equal.
mkdir in
sizes=(7000 120000 500 30000 500 60000 1 40000 20000 15000)
for i in "${!sizes[@]}"; do head -c "${sizes[i]}" /dev/zero | tr '\0' "$i" >"in/$i.txt"; done
by_size="0 1 5 7 3 8 9 2 4 6"
job () { # ID
  echo -v "$PWD/in:/in" -o res:/out --glob '*.txt' --batch-size 1 --runtime process --results "$PWD/$1"
}
command=(x sh -c 'echo $SHOAL_SHARD_INDEX >>'"$PWD"'/$SHOAL_JOB_ID.started; echo $SHOAL_SHARD_INDEX; cp in/* out/')
started () { paste -sd ' ' "$1.started"; }

# shellcheck disable=SC2046
expect_exit 0 "by index, as ever" "$SHOAL" run -q -j 1 --id index $(job index) "${command[@]}"
expect_same "one after the other" "0 1 2 3 4 5 6 7 8 9" "$(started index)"
# shellcheck disable=SC2046
expect_exit 0 "by size" "$SHOAL" run -q -j 1 --order size --id size $(job size) "${command[@]}"
expect_same "the first one, then the largest" "$by_size" "$(started size)"
expect_true "the same outputs" diff -r index/outputs size/outputs
expect_true "… and stdout" cmp index/stdout size/stdout
expect_exit 2 "an order that there isn't" "$SHOAL" run --order best x true
expect_stderr '--order: "best" is none of index, size'

export SHOAL_BUS=kafka://$SHOAL_TEST_KAFKA/e2e-order-$$-$RANDOM
expect_exit 0 "topics" "$SHOAL" topics create --partitions 1
# shellcheck disable=SC2046
expect_exit 2 "shards of which only some are published" "$SHOAL" submit --order size --max-parallel 2 $(job no) "${command[@]}"
expect_stderr '--order: with --max-parallel shards run by index'
start_service producer producer
start_service merger merger
# shellcheck disable=SC2046
expect_exit 0 "a fleet's job" "$SHOAL" submit --id fleet --order size $(job fleet) "${command[@]}"
start_service worker worker --slots 1
expect_exit 0 "is done" "$SHOAL" watch -q fleet
expect_same "by size as well" "$by_size" "$(started fleet)"
expect_true "the same outputs" diff -r index/outputs fleet/outputs
expect_true "… and stdout" cmp index/stdout fleet/stdout
