#!/usr/bin/env python3
"""What a server before S3 does that MinIO can't be made to do: s3_front.py HOST:PORT KIND [FILE [WHAT]]. Prints its port and ends with its parent.

    redirects    the bucket is in us-east-1: requests signed for elsewhere are answered with 301 and a header, as Amazon does
    refuses      the same with 400 and an element, as MinIO with a region does
    forgets      the first answer to the end of an upload is lost
    doubles      the first answer to the beginning of an upload is lost
    lingers      the answer to the beginning of an upload takes a second
    busy         each object's first GET, of each part of it, is answered with 503
    loses        each object's first PUT is answered as if only a part of it had come
    payer        whoever asks doesn't say in what he signs that he pays: 403
    holds        GETs of objects wait until FILE is there; FILE.held is made when one does
    stalls       requests whose "METHOD PATH RANGE" has WHAT in it wait until FILE is there; FILE.held is made when one does
    drips        objects come in small pieces, ten a second, until FILE is there
    notes        writes "METHOD HOST PATH" of each request to FILE
    spoils       of an object's content one byte is another, in each answer of more than a megabyte
    slips        the same, in the first two answers to what is asked for
    ignores      nothing is known of parts' numbers: all of the object is meant
    declines     questions with parts' numbers are refused
    cuts         the same for all parts but the first
    forces       no condition is heeded: a PUT goes over what is there
    encrypted    objects are said to be encrypted with a key of KMS

KIND may be several, "spoils+ignores".
"""
import http.client
import os
import sys
import threading
import time

import standin

target, kind = sys.argv[1].removeprefix("http://"), sys.argv[2]
PIECE = 64 << 10
kinds = kind.split("+")
losing = {"forgets": "uploadId=", "doubles": "?uploads"}.get(kind)  # in the path of a POST
lost = threading.Event()
seen = set()  # what "busy" and "loses" refused
lock = threading.Lock()


def is_news(what):
    with lock:
        known = what in seen
        seen.add(what)
    return not known


class Front(standin.Handler):
    def answer(self, status, headers, content):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in [name.lower() for name, _ in headers]:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        while kind == "drips" and self.command == "GET" and len(content) > PIECE and not os.path.exists(sys.argv[3]):
            self.wfile.write(content[:PIECE])
            content = content[PIECE:]
            time.sleep(0.1)
        self.wfile.write(content)

    def do_any(self):
        sent = self.sent()
        if kind in ("redirects", "refuses") and "/us-east-1/" not in self.headers.get("Authorization", ""):
            if kind == "redirects":
                self.answer(301, [("x-amz-bucket-region", "us-east-1")], b"<Error><Code>PermanentRedirect</Code></Error>")
            else:
                self.answer(400, [], b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-east-1</Region></Error>")
            return
        of_object = self.command == "GET" and "list-type=" not in self.path
        if kind == "busy" and of_object and is_news((self.path, self.headers.get("Range"))):
            self.answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
            return
        if kind == "loses" and self.command == "PUT" and is_news(self.path):
            self.answer(400, [], b"<Error><Code>IncompleteBody</Code></Error>")
            return
        if kind == "payer" and (self.headers.get("x-amz-request-payer") != "requester" or "x-amz-request-payer" not in self.headers["Authorization"]):
            self.answer(403, [], b"<Error><Code>AccessDenied</Code></Error>")
            return
        while kind == "holds" and of_object and not os.path.exists(sys.argv[3]):
            open(sys.argv[3] + ".held", "a").close()
            time.sleep(0.02)
        asked = f"{self.command} {self.path} {self.headers.get('Range')}"
        while kind == "stalls" and sys.argv[4] in asked and not os.path.exists(sys.argv[3]):
            open(sys.argv[3] + ".held", "a").close()
            time.sleep(0.02)
        if kind == "notes":
            with lock, open(sys.argv[3], "a") as log:
                log.write(f"{self.command} {self.headers['Host']} {self.path}\n")
        if self.command == "HEAD" and "partNumber=" in self.path:
            if "declines" in kinds or ("cuts" in kinds and not self.path.endswith("=1")):
                self.answer(501 if "declines" in kinds else 416, [("Content-Length", "0")], b"")
                return
        there = http.client.HTTPConnection(target)
        there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if kind != "forces" or not name.lower().startswith("if-"):
                there.putheader(name, value)
        there.endheaders(sent)
        answer = there.getresponse()
        content = answer.read()
        if kind == "lingers" and self.command == "POST" and "?uploads" in self.path:
            time.sleep(1)
        elif losing and self.command == "POST" and losing in self.path and not lost.is_set():
            lost.set()
            self.close_connection = True
            return
        kept = [pair for pair in answer.getheaders() if pair[0].lower() not in ("connection", "transfer-encoding", "date", "server")]
        if "ignores" in kinds and self.command == "HEAD" and "partNumber=" in self.path:
            whole = answer.getheader("Content-Range").rpartition("/")[2]
            self.answer(200, [("Content-Length", whole)], b"")
            return
        spoils = "spoils" in kinds or ("slips" in kinds and any(is_news((self.path, self.headers.get("Range"), turn)) for turn in (1, 2)))
        if spoils and self.command == "GET" and len(content) > 1 << 20:
            content = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]
        if "encrypted" in kinds:
            kept.append(("x-amz-server-side-encryption", "aws:kms"))
        self.answer(answer.status, kept, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any


standin.serve(Front)
