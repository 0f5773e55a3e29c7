#!/bin/bash
# Another S3 server than MinIO: moto, which holds a request for a part against that part's tag, keeps archived objects and lets an object stand beside a folder of its name.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
. "$E2E_LIB/../../deploy/process.sh"
use_images busybox
moto=${XDG_CACHE_HOME:-$HOME/.cache}/shoal/moto/bin/moto_server
[ -x "$moto" ] || { fail "moto isn't there: tools/install.sh python installs it"; exit 1; }
port=$(free_ports 1)
process_spawn "$PWD/moto.pid" "$PWD/moto.log" "$moto" -H 127.0.0.1 -p "$port"
at_end "process_kill '$PWD/moto.pid'"
wait_for moto curl -sf -o /dev/null "http://127.0.0.1:$port/"
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testsecret AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true

"$E2E_PYTHON" - <<'END_PYTHON'
import boto3
s3 = boto3.client("s3")
s3.create_bucket(Bucket="box")
for name in ("a.txt", "d/12:30 +&#?%.txt", "d/é"):
    s3.put_object(Bucket="box", Key="plain/" + name, Body=name.encode())
upload = s3.create_multipart_upload(Bucket="box", Key="parts/large")["UploadId"]
parts = []
for number, size in ((1, 5 << 20), (2, 1000)):
    answer = s3.upload_part(Bucket="box", Key="parts/large", UploadId=upload, PartNumber=number, Body=bytes([number]) * size)
    parts.append({"PartNumber": number, "ETag": answer["ETag"]})
s3.complete_multipart_upload(Bucket="box", Key="parts/large", UploadId=upload, MultipartUpload={"Parts": parts})
s3.put_object(Bucket="box", Key="cold/warm", Body=b"x")
s3.put_object(Bucket="box", Key="cold/frozen", Body=b"x", StorageClass="DEEP_ARCHIVE")
s3.put_object(Bucket="box", Key="thawed/x", Body=b"x", StorageClass="GLACIER")
s3.restore_object(Bucket="box", Key="thawed/x", RestoreRequest={"Days": 1})
for key in ("beside/a", "beside/a/b", "beside/c"):
    s3.put_object(Bucket="box", Key=key, Body=b"x")
END_PYTHON

take () { "$SHOAL" run --retries 0 -o res:/out --batch-size 100 "$@" busybox sh -c 'cd /in && cp -r . /out/'; }
expect_exit 0 "objects" take -v s3://box/plain:/in --glob '**/*' --results plain
expect_same "… by every name" "3" "$(find plain/outputs/res -type f | wc -l)"
expect_exit 0 "an object in parts" take -v s3://box/parts:/in --glob '*' --results parts
expect_same "… whole" $(((5 << 20) + 1000)) "$(stat -c %s parts/outputs/res/large)"
expect_exit 2 "an archived object is told before anything runs" take -v s3://box/cold:/in --glob '*' --results cold
expect_stderr 'cold/frozen is archived: restore it .*--exclude'
expect_exit 0 "… and can be left out" take -v s3://box/cold:/in --glob '*' --exclude frozen --results warm
expect_exit 2 "an object beside a folder of its name" take -v s3://box/beside:/in --glob '**/*' --results beside
expect_stderr 'a is an object and the folder of a/b'
expect_exit 2 "… also where the folder is matched as a whole" take -v s3://box/beside:/in --glob '*' --results whole
expect_stderr '/in/a is a file and a folder, and the pattern matches both'
expect_exit 0 "… can be left out" take -v s3://box/beside:/in --glob '**/*' --exclude a --results folder
head -c 40000000 /dev/zero >large
mkdir in && mv large in/
expect_exit 0 "a result in parts" "$SHOAL" run -v "$PWD/in:/in" -o res:/out --glob '*' --results s3://box/result busybox sh -c 'cp /in/large /out/'
expect_exit 0 "… comes back" "$SHOAL" get s3://box/result back
expect_true "… whole" cmp in/large back/outputs/res/large
