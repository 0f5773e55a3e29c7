#!/bin/bash
# Sizes that CI has no room for: 10,000 small objects and two of 5 GiB, from S3 to S3 by containers, and back. Takes 50 GB of disk.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
use_s3
export HOME=$PWD/home
bucket=sizes-$$-$RANDOM
at_end 's3 remove "$bucket"'
s3 make "$bucket"
python3 - <<'PYTHON'
import os, random
for number in range(10000):
    os.makedirs(f"in/small/{number % 100:02d}", exist_ok=True)
    with open(f"in/small/{number % 100:02d}/{number:05d}.bin", "wb") as file:
        file.write(os.urandom(random.randrange(20000)))
os.mkdir("in/large")
for number in range(2):
    with open(f"in/large/{number}.bin", "wb") as file:
        file.truncate((5 << 30) + number)
        for place in range(40):
            file.seek(random.randrange(5 << 30))
            file.write(os.urandom(1 << 20))
PYTHON
sums () { (cd "$1" && find . -type f -exec sha256sum {} + | sort); }
sums in >wanted
s3 put in "s3://$bucket/in"
rm -r in
TREE='cd /in && find . -type f | while read -r f; do mkdir -p "/out/$(dirname "$f")" && cp "$f" "/out/$f"; done'
expect_exit 0 "a job" "$SHOAL" run --progress plain -v "s3://$bucket/in:/in" -o res:/out --glob '**/*.bin' --batch-size 2001 --results "s3://$bucket/result" busybox sh -c "$TREE"
expect_exit 0 "its result" "$SHOAL" get "s3://$bucket/result" got
sums got/outputs/res >came
expect_same "has all files" 10002 "$(wc -l <came)"
expect_true "as they were" cmp wanted came
