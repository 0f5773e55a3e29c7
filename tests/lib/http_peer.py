#!/usr/bin/env python3
"""An HTTP server that misbehaves as its caller wants, for what a real one can't be made to do: http_peer.py LOG [PEM]

Prints its port when it listens, writes a line per request to LOG ("GET /path?query authorization range") and ends with its parent. With PEM, a certificate and its key, it speaks https. What a path
answers is said by its query; what is PUT below /said/ is what its path answers from then on:

    size=N       a body of N bytes, byte I is I * 31 % 251; ranges work, the ETag is "v1"
    cut=K        the connection is reset behind K bytes of the body
    short=K      it ends in order behind K bytes of the body
    status=S     S instead of 200, with `text` as its body
    text=T       T as the body
    after=N      Retry-After: N
    to=URL       302 to URL; `self`: to where we are
    raw=BYTES    BYTES and nothing else, then the end
    again=B      behind those of `raw` BYTES again and again, as long as they are taken
    headers=N    N bytes of headers
    stall=S      nothing for S seconds
    etag=E       another ETag; empty: none
    chunked      the length isn't told (of parts it is)
    endless      bytes without end, whose number isn't told
    trickle=S    a byte of the body every S seconds
    says=N       Content-Length is N, whatever the body
    noranges     all of it, whatever part is asked for
    times=N      all of the above for the first N requests of this path only, afterwards as if only `size` were said
"""
import socket
import struct
import sys
import threading
import time
import urllib.parse

import standin

seen = {}
told = {}
lock = threading.Lock()


def body(size):
    period = bytes(i * 31 % 251 for i in range(251))
    return (period * (size // 251 + 1))[:size]


class Peer(standin.Handler):
    def reset(self):
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def say_raw(self, query):
        said = dict(urllib.parse.parse_qsl(query, keep_blank_values=True, encoding="latin-1"))
        self.close_connection = True
        self.wfile.write(said.get("raw", "").encode("latin-1"))
        while said.get("again"):
            self.wfile.write(said["again"].encode("latin-1") * 100)

    def do_any(self):
        sent = self.sent()
        address = urllib.parse.urlsplit(self.path)
        said = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        with lock:
            seen[self.path] = turn = seen.get(self.path, 0) + 1
            with open(sys.argv[1], "a") as log:
                log.write(f"{self.command} {self.path} {self.headers.get('Authorization', '-')} {self.headers.get('Range', '-')}\n")
        if turn > int(said.get("times", 1 << 30)):
            said = {"size": said.get("size", "0")}
        if "stall" in said:
            time.sleep(float(said["stall"]))
        if "raw" in said or "again" in said:
            self.say_raw(address.query)
            return
        if "to" in said:
            self.send_response(302)
            self.send_header("Location", self.path if said["to"] == "self" else said["to"])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = sent if address.path == "/echo" else body(int(said.get("size", 0)))
        if address.path.startswith("/said"):
            if self.command == "PUT":
                told[address.path] = sent
            content = told.get(address.path, b"")
        status, etag = int(said.get("status", 200)), said.get("etag", '"v1"')
        if status != 200 or "text" in said:
            content = said.get("text", "").encode()
        wanted = self.headers.get("If-Match")
        if status == 200 and wanted is not None and wanted != etag:
            status, content = 412, b""
        ranged = self.headers.get("Range")
        whole = len(content)
        if status == 200 and ranged is not None and "noranges" not in said:
            first, last = ranged.removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last) + 1 if last else whole, whole)
            status, content = 206, content[start:end]
        self.send_response(status)
        if etag:
            self.send_header("ETag", etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{whole}")
        if "after" in said:
            self.send_header("Retry-After", said["after"])
        for number in range(int(said.get("headers", 0)) // 1000):
            self.send_header(f"X-{number}", "x" * 990)
        if "endless" in said:
            self.end_headers()
            while self.command == "GET":
                self.wfile.write(bytes(65536))
            return
        chunked = "chunked" in said and status == 200
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", said.get("says", str(len(content))))
        self.end_headers()
        if self.command == "HEAD":
            return
        if chunked:
            self.wfile.write(b"%x\r\n" % len(content) if content else b"")
        if "trickle" in said:
            for byte in content:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(float(said["trickle"]))
        elif "cut" in said and int(said["cut"]) < len(content):
            self.wfile.write(content[:int(said["cut"])])
            self.reset()
        elif "short" in said:
            self.wfile.write(content[:int(said["short"])])
            self.close_connection = True
        else:
            self.wfile.write(content + (b"\r\n0\r\n\r\n" if chunked and content else b"0\r\n\r\n" if chunked else b""))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any


standin.serve(Peer, pem=sys.argv[2] if len(sys.argv) > 2 else None)
