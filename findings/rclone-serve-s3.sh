#!/bin/bash
# rclone's S3 server heeds no conditions and no part numbers, lists by time, and writes an object's ETag in two ways.
#
# Behaviour: "rclone serve s3" answers a PUT with If-None-Match: * by putting the new object over the old one, a GET with an
# If-Match that doesn't match by the object, and a GET of part 2 of an object in two parts by the whole object with status
# 200, each without an error. S3 answers the first two with 412, and the third with the part and 206. The ETag of one object
# has quotes in the header of a HEAD and none in a listing. The answer that begins an upload in parts has the root element
# InitiateMultipartUpload, where S3's has InitiateMultipartUploadResult. Keys are listed in the order of their times, not of
# their names: a client that goes through two listings side by side, as for a comparison, misses what it passed.
# Seen with: rclone 1.74.0 (Go module; the commands serve and serve s3 and the local backend), boto3 1.44.0 (PyPI)
# Output seen:
#   ETag of HEAD and listing: "5d41402abc4b2a76b9719d911017c592" and 5d41402abc4b2a76b9719d911017c592
#   GET with another If-Match: 200
#   PUT with If-None-Match: 200
#   root element: InitiateMultipartUpload
#   GET of part 2 of 2: 200, 10485760 bytes
#   listing after "b" was put, then "a": b, a
# What follows: shoal looks whose a result is before it takes the place by a conditional PUT (result/result_store.c), compares
# ETags without their quotes, takes an answer of the whole object for what it is, and refuses a listing that is out of order
# (docs/servers.md).
# Exits with 1 when it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/program" "$work/data" "$work/data/bucket"
cd "$work/program"
cat >main.go <<'GO'
package main

import (
	_ "github.com/rclone/rclone/backend/local"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/serve"
	_ "github.com/rclone/rclone/cmd/serve/s3"
)

func main() { cmd.Main() }
GO
{ go mod init program && go get github.com/rclone/rclone@v1.74.0 && go mod tidy && go build -o ../rclone .; } >../build.log 2>&1 || { cat ../build.log; exit 2; }
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check boto3==1.44.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
./rclone --config /dev/null serve s3 --addr "127.0.0.1:$port" data >server.log 2>&1 & server=$!
for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$port/" && break; sleep 0.1; done
cat >try.py <<'PYTHON'
import sys
import time
import xml.etree.ElementTree as xml
import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
roots = []


def begun(response_dict, **_):
    roots.append(xml.fromstring(response_dict["body"]).tag)


s3.meta.events.register("before-parse.s3.CreateMultipartUpload", begun)


def call(what, method, **arguments):
    try:
        answer = method(Bucket="bucket", **arguments)
        size = f", {answer['ContentLength']} bytes" if "PartNumber" in arguments else ""
        if "Body" in answer:
            answer["Body"].read()
        print(f"{what}: {answer['ResponseMetadata']['HTTPStatusCode']}{size}")
    except ClientError as error:
        print(f"{what}: {error.response['ResponseMetadata']['HTTPStatusCode']}")


s3.put_object(Bucket="bucket", Key="key", Body=b"hello")
print("ETag of HEAD and listing:", s3.head_object(Bucket="bucket", Key="key")["ETag"], "and",
      s3.list_objects_v2(Bucket="bucket")["Contents"][0]["ETag"])
call("GET with another If-Match", s3.get_object, Key="key", IfMatch='"0"')
call("PUT with If-None-Match", s3.put_object, Key="key", Body=b"other", IfNoneMatch="*")
upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
print("root element:", roots[0])
parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=n, Body=b"x" * (5 << 20))["ETag"]}
         for n in (1, 2)]
s3.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
call("GET of part 2 of 2", s3.get_object, Key="parts", PartNumber=2)
s3.put_object(Bucket="bucket", Key="order/b", Body=b"1")
time.sleep(1.5)
s3.put_object(Bucket="bucket", Key="order/a", Body=b"2")
found = s3.list_objects_v2(Bucket="bucket", Prefix="order/")["Contents"]
print('listing after "b" was put, then "a":', ", ".join(item["Key"].rpartition("/")[2] for item in found))
PYTHON
venv/bin/python try.py "http://127.0.0.1:$port" | tee seen
diff - seen <<'SEEN' >/dev/null || { echo "it behaves otherwise now"; exit 1; }
ETag of HEAD and listing: "5d41402abc4b2a76b9719d911017c592" and 5d41402abc4b2a76b9719d911017c592
GET with another If-Match: 200
PUT with If-None-Match: 200
root element: InitiateMultipartUpload
GET of part 2 of 2: 200, 10485760 bytes
listing after "b" was put, then "a": b, a
SEEN
