#!/usr/bin/env python3
"""Somebody else's S3 client, for tests: s3.py COMMAND …, with AWS_ENDPOINT_URL and AWS's credentials in the environment.

    make BUCKET              remove BUCKET (with all that is in it)
    put FOLDER s3://B/P      every file of it
    write s3://B/KEY         standard input as one object
    delete s3://B/KEY        that object; with a / at its end, all below
    list s3://B/P            the keys, relative, in S3's order
    uploads s3://B/P         unfinished uploads of exactly the keys below P that standard input has, one a line
    role                     prints credentials for fifteen minutes, for eval; as JSON with `role --json`
    public BUCKET            anybody may list and read it
    user NAME SECRET         somebody who may read and write everything (MinIO only, as the next three)
    member NAME SECRET BUCKET [ACTION…]  somebody who may do these things (s3:GetObject …; default all) with BUCKET and nothing else
    revoke NAME              what he was given for a while isn't known any more, as when it has run out
    forget NAME              he isn't there any more
"""
import hashlib
import json
import os
import pathlib
import sys
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def client(service="s3"):
    config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 8}, max_pool_connections=32)
    return boto3.client(service, region_name="us-east-1", config=config)


def split(url):
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def keys(bucket, prefix):
    for page in client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            yield entry["Key"]


def put(folder, url):
    bucket, prefix = split(url)
    s3 = client()

    def send(path):
        s3.upload_file(str(path), bucket, os.path.join(prefix, path.relative_to(folder).as_posix()))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(send, [path for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()]))


def uploads(url, names):
    bucket, prefix = split(url)
    s3 = client()

    def of_key(key):
        found = s3.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads", [])
        return [upload["Key"] for upload in found if upload["Key"] == key]
    with ThreadPoolExecutor(16) as pool:
        for found in pool.map(of_key, [prefix + "/" + name for name in names]):
            for key in found:
                print(key)


def remove(bucket):
    s3, names = client(), list(keys(bucket, ""))
    for begin in range(0, len(names), 1000):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in names[begin:begin + 1000]], "Quiet": True})
    s3.delete_bucket(Bucket=bucket)


def public(bucket):
    may = {"Effect": "Allow", "Principal": "*", "Action": ["s3:ListBucket", "s3:GetObject"],
           "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
    client().put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [may]}))


def sealed(password, text):
    """TEXT as MinIO's administration wants it: madmin-go's EncryptData (PBKDF2, AES-GCM) around one last block of sio-go's."""
    salt, nonce = os.urandom(32), os.urandom(8)
    cipher = AESGCM(hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 8192, 32))
    mark = cipher.encrypt(nonce + bytes(4), b"", b"")
    return salt + b"\x02" + nonce + cipher.encrypt(nonce + b"\1\0\0\0", text.encode(), b"\x80" + mark)


def administer(method, what, secret_of_user=None, plain=b"", **query):
    text = os.environ["AWS_ENDPOINT_URL"] + "/minio/admin/v3/" + what + "?" + urllib.parse.urlencode(sorted(query.items()))
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    keys = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], secret)
    body = plain if secret_of_user is None else sealed(secret, json.dumps({"secretKey": secret_of_user, "status": "enabled"}))
    request = botocore.awsrequest.AWSRequest(method, text, data=body, headers={"X-Amz-Content-Sha256": hashlib.sha256(body).hexdigest()})
    botocore.auth.S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    urllib.request.urlopen(urllib.request.Request(text, data=body, method=method, headers=dict(request.headers))).close()


def main():
    command, *words = sys.argv[1:]
    if command == "make":
        client().create_bucket(Bucket=words[0])
    elif command == "remove":
        remove(words[0])
    elif command == "put":
        put(*words)
    elif command == "write":
        bucket, key = split(words[0])
        client().put_object(Bucket=bucket, Key=key, Body=sys.stdin.buffer.read())
    elif command == "delete":
        bucket, key = split(words[0])
        s3 = client()
        for name in list(keys(bucket, key)) if key.endswith("/") else [key]:
            s3.delete_object(Bucket=bucket, Key=name)
    elif command == "list":
        bucket, prefix = split(words[0])
        for key in keys(bucket, prefix):
            print(key.removeprefix(prefix).lstrip("/"))
    elif command == "uploads":
        uploads(words[0], sys.stdin.read().splitlines())
    elif command == "role":
        found = client("sts").assume_role(RoleArn="arn:x:ignored:by:minio:", RoleSessionName="test", DurationSeconds=900)["Credentials"]
        if words == ["--json"]:
            print(json.dumps({"AccessKeyId": found["AccessKeyId"], "SecretAccessKey": found["SecretAccessKey"], "Token": found["SessionToken"]}))
            return
        print(f"export AWS_ACCESS_KEY_ID={found['AccessKeyId']} AWS_SECRET_ACCESS_KEY={found['SecretAccessKey']} AWS_SESSION_TOKEN={found['SessionToken']}")
    elif command == "public":
        public(*words)
    elif command == "user":
        administer("PUT", "add-user", secret_of_user=words[1], accessKey=words[0])
        administer("PUT", "set-user-or-group-policy", policyName="readwrite", userOrGroup=words[0], isGroup="false")
    elif command == "member":
        name, secret, bucket, *actions = words
        may = {"Effect": "Allow", "Action": actions or ["s3:*"], "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
        administer("PUT", "add-user", secret_of_user=secret, accessKey=name)
        administer("PUT", "add-canned-policy", plain=json.dumps({"Version": "2012-10-17", "Statement": [may]}).encode(), name=name)
        administer("PUT", "set-user-or-group-policy", policyName=name, userOrGroup=name, isGroup="false")
    elif command == "revoke":
        administer("POST", "revoke-tokens/builtin", user=words[0], fullRevoke="true")
    elif command == "forget":
        administer("DELETE", "remove-user", accessKey=words[0])
    else:
        sys.exit(__doc__)


main()
