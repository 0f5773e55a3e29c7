#!/usr/bin/env python3
"""Adds a folder to the tests' IPFS node by its RPC and prints its CID: ipfs_add.py API FOLDER [OPTION=VALUE …]"""
import json
import os
import sys
import urllib.parse
import urllib.request


def parts(folder):
    for at, folders, files in os.walk(folder.encode()):
        folders.sort()
        relative = os.path.relpath(at, folder.encode())
        inside = b"" if relative == b"." else relative + b"/"
        if inside and not files and not folders:
            yield inside[:-1], "application/x-directory", b""
        for name in sorted(files + [name for name in folders if os.path.islink(os.path.join(at, name))]):
            path = os.path.join(at, name)
            if os.path.islink(path):
                yield inside + name, "application/symlink", os.readlink(path)
            else:
                with open(path, "rb") as file:
                    yield inside + name, "application/octet-stream", file.read()


api, folder, *options = sys.argv[1:]
body = bytearray()
for path, kind, content in parts(folder):
    name = urllib.parse.quote_from_bytes(path, safe="")
    body += f"--part\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n"
body += b"--part--\r\n"
query = "&".join(["wrap-with-directory=true", "quieter=true", *options])
request = urllib.request.Request(f"{api}/api/v0/add?{query}", bytes(body), {"Content-Type": "multipart/form-data; boundary=part"})
with urllib.request.urlopen(request, timeout=120) as answer:
    print([json.loads(line) for line in answer][-1]["Hash"])
