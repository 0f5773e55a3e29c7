#!/bin/bash
# moto compares If-Match with a part's checksum when a part of an object is asked about.
#
# Behaviour: HEAD ?partNumber=1 with If-Match set to the object's ETag, which a plain HEAD has just given, is refused with
# 412. If-Match is a condition on the object's ETag (RFC 9110 §13.1.1), and partNumber only selects which part's length
# and range the answer has; the same request without If-Match is answered.
# Seen with: moto 5.2.5, boto3 1.44.0 (PyPI)
# Output seen:
#   HEAD: 200
#   HEAD partNumber=1: 200
#   HEAD partNumber=1, If-Match the object's ETag: 412
#   HEAD, If-Match the object's ETag: 200
# What follows: tests of conditional requests for parts need another server (MinIO and versitygw answer it).
# Exits with 1 when moto behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check "moto[server]==5.2.5" boto3==1.44.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/moto_server -H 127.0.0.1 -p "$port" >server.log 2>&1 & server=$!
for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$port/" && break; sleep 0.1; done
cat >try.py <<'PYTHON'
import sys
import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
s3.create_bucket(Bucket="bucket")
upload = s3.create_multipart_upload(Bucket="bucket", Key="key")["UploadId"]
parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="bucket", Key="key", UploadId=upload, PartNumber=n, Body=b"x" * (5 << 20))["ETag"]}
         for n in (1, 2)]
s3.complete_multipart_upload(Bucket="bucket", Key="key", UploadId=upload, MultipartUpload={"Parts": parts})


def head(what, **options):
    try:
        s3.head_object(Bucket="bucket", Key="key", **options)
        status = 200
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    print(f"{what}: {status}")
    return status


etag = s3.head_object(Bucket="bucket", Key="key")["ETag"]
seen = [head("HEAD"), head("HEAD partNumber=1", PartNumber=1),
        head("HEAD partNumber=1, If-Match the object's ETag", PartNumber=1, IfMatch=etag),
        head("HEAD, If-Match the object's ETag", IfMatch=etag)]
sys.exit(seen != [200, 200, 412, 200])
PYTHON
venv/bin/python try.py "http://127.0.0.1:$port"
