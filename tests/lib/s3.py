#!/usr/bin/env python3
"""Somebody else's S3 client, for tests: s3.py COMMAND …, with AWS_ENDPOINT_URL and AWS's credentials in the environment.

    make BUCKET              remove BUCKET (with all that is in it)
    put FOLDER s3://B/P      every file of it
    write s3://B/KEY         standard input as one object
    delete s3://B/KEY        that object
    list s3://B/P            the keys, relative, in S3's order
    uploads s3://B/P         unfinished uploads of exactly the keys below P that standard input has, one a line
    role                     prints credentials for fifteen minutes, for eval
"""
import os
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.config


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
        client().delete_object(Bucket=bucket, Key=key)
    elif command == "list":
        bucket, prefix = split(words[0])
        for key in keys(bucket, prefix):
            print(key.removeprefix(prefix).lstrip("/"))
    elif command == "uploads":
        uploads(words[0], sys.stdin.read().splitlines())
    elif command == "role":
        found = client("sts").assume_role(RoleArn="arn:x:ignored:by:minio:", RoleSessionName="test", DurationSeconds=900)["Credentials"]
        print(f"export AWS_ACCESS_KEY_ID={found['AccessKeyId']} AWS_SECRET_ACCESS_KEY={found['SecretAccessKey']} AWS_SESSION_TOKEN={found['SessionToken']}")
    else:
        sys.exit(__doc__)


main()
