#!/bin/bash
# The HTTP server that inputs come from is killed and started again while a job runs; files behind it change and vanish.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
servers=$(readlink -f "$E2E_LIB/../../deploy/storage/server.sh")
seed=${SHOAL_SEED:-$RANDOM}
RANDOM=$seed
echo "SHOAL_SEED=$seed"
place=$E2E_WORK/nginx
trap '"$servers" stop nginx "$place" || true; e2e_finish' EXIT
eval "$("$servers" start nginx "$place")"
root=$SHOAL_TEST_HTTP_ROOT/in
mkdir -p "$root"
python3 - "$root" "$seed" <<'PY'
import random, sys
rng = random.Random(int(sys.argv[2]))
for number in range(1500):
    with open(f"{sys.argv[1]}/f{number:04}.bin", "wb") as file:
        file.write(rng.randbytes(rng.randrange(20000)))
with open(f"{sys.argv[1]}/large.bin", "wb") as file:
    file.write(rng.randbytes(80 << 20))
PY
job () { "$SHOAL" run -v "$SHOAL_TEST_HTTP/json/in/:/in" -o res:/out --glob '*.bin' --batch-size 100 --backoff 1ms "$@" busybox sh -c "$COPY"; }

for round in 1 2 3; do
  job --results "round-$round" >out-$round 2>err-$round &
  pid=$!
  for fall in 1 2; do
    read -rt "0.$((RANDOM % 9 + 1))" <> <(:) || true
    "$servers" stop nginx "$place"
    read -rt "0.$((RANDOM % 9 + 1))" <> <(:) || true
    "$servers" start nginx "$place" >/dev/null
  done
  expect_end 0 "a job whose server falls twice (round $round)" $pid
  expect_true "… has all its inputs, byte by byte" diff -r "$root" "round-$round/outputs/res"
done

# The plan of a job pins what it saw: the first shard changes and removes what the last ones were to have.
mkdir "$SHOAL_TEST_HTTP_ROOT/pins"
make_files "$SHOAL_TEST_HTTP_ROOT/pins" 40
expect_exit 1 "files that change while a job runs" env ROOT="$SHOAL_TEST_HTTP_ROOT/pins" "$SHOAL" run --runtime process -e ROOT -j 1 --retries 1 --backoff 1ms --max-failures 100% \
  -v "$SHOAL_TEST_HTTP/json/pins/:/in" -o res:/out --glob '*.txt' --results pins none sh -c 'cd "$ROOT" && echo another >f039.txt && rm -f f040.txt; cp /in/* /out/'
expect_same "… fail their shards" 38 "$(find pins*/outputs/res -type f | wc -l)"
for reason in 'f039.txt: has changed since it was listed' "f040.txt: no longer exists"; do
  expect_true "… which say: $reason" grep -rqF "$reason" pins.partial "$E2E_WORK/err"
done
