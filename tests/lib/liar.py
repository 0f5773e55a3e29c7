#!/usr/bin/env python3
"""An S3 server and an IPFS node that lie: liar.py LOG. Prints its port and ends with its parent.

What a bucket is called says how its listing, or its object, is wrong (below). IPFS' blocks are made at the start, each folder as it is named; lines "root NAME CID" in
LOG say where. Blocks of the names in BAD_BLOCKS are answered otherwise than they are. A line "asked N" in LOG is a request, "gave N" the bytes of a body without end.
"""
import base64
import hashlib
import sys
import threading
import time
import urllib.parse

import standin

lock = threading.Lock()
count = 0


def log(text):
    with lock, open(sys.argv[1], "a") as file:
        file.write(text + "\n")


def turn():
    global count
    with lock:
        count += 1
        return count


# ---- S3

def entry(key, size="1", etag="&quot;e&quot;"):
    return f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag></Contents>"


def page(content, token=None):
    more = "" if token is None else f"<NextContinuationToken>{token}</NextContinuationToken>"
    return (f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{'false' if token is None else 'true'}</IsTruncated>{more}{content}"
            "</ListBucketResult>")


LAUGHS = ("<!DOCTYPE lolz [<!ENTITY a \"lol\">" + "".join(f"<!ENTITY {b} \"{f'&{a};' * 10}\">" for a, b in zip("abcdefgh", "bcdefghi"))
          + "]><ListBucketResult>&i;</ListBucketResult>")
OUTSIDE = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><ListBucketResult>&x;</ListBucketResult>"
LISTINGS = {
    "words": "hello",
    "html": "<html><head><title>Sign in</title></head><body>now</body></html>",
    "nothing": "",
    "laughs": LAUGHS,
    "entity": OUTSIDE,
    "nested": "<ListBucketResult>" + "<a>" * 100000,
    "long-key": page(entry("k" * 100000)),
    "many": page("".join(entry(f"{i:07d}") for i in range(100001))),
    "half": page(entry("a"))[:-30],
    "up": page(entry("../a")),
    "up-inside": page(entry("a/../../b")),
    "absolute": page(entry("/etc/passwd")),
    "twice-slash": page(entry("a//b")),
    "dot": page(entry("a/./b")),
    "nul": page(entry("a%00b")),
    "long-name": page(entry("n" * 300)),
    "long-path": page(entry("d/" * 3000 + "f")),
    "order": page(entry("b") + entry("a")),
    "same-key": page(entry("a") + entry("a")),
    "same-page": page(entry("a"), "again"),
    "same-token": page("", "again"),
    "no-token": page("", ""),
    "negative": page(entry("a", "-1")),
    "beyond": page(entry("a", "9223372036854775808")),
    "no-number": page(entry("a", "1e9")),
    "no-size": page("<Contents><Key>a</Key></Contents>"),
    "no-key": page("<Contents><Size>1</Size></Contents>"),
    "etag-long": page(entry("a", etag="e" * 5000)),
    "etag-lines": page(entry("a", etag="e&#13;&#10;X-Injected: yes")),
    "refused": "<Error><Code>AccessDenied</Code></Error>",
}
STATUSES = {
    "busy": (503, "<Error><Code>SlowDown</Code></Error>", {}),
    "html-error": (500, "<html>\x1b[2J</html>", {}),
    "away": (301, "<Error><Code>PermanentRedirect</Code></Error>", {}),
    "metadata": (307, "", {"Location": "http://169.254.169.254/latest/meta-data/"}),
    "file": (307, "", {"Location": "file:///etc/passwd"}),
}
OBJECTS = {
    "etag-other": (b"0123456789", '"other"'),
    "sum-other": (b"0123456789", '"' + hashlib.md5(b"something else").hexdigest() + '"'),
    "longer": (b"0123456789!", '"e"'),
    "shorter": (b"012345678", '"e"'),
}


# ---- IPFS

def varint(value):
    text = b""
    while value >= 0x80:
        text += bytes([value & 0x7f | 0x80])
        value >>= 7
    return text + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(at, value):
    return varint(at << 3) + varint(value)


blocks = {}


def keep(block):
    """Its CID, as bytes."""
    cid = b"\x01\x70\x12\x20" + hashlib.sha256(block).digest()
    blocks[text_of(cid)] = block
    return cid


def text_of(cid):
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def node(links, unixfs):
    return keep(b"".join(field(2, field(1, cid) + field(2, name) + number(3, size)) for name, cid, size in links) + field(1, unixfs))


def folder(*links):
    return node(links, number(1, 1))


def chain(depth, leaf, width):
    cid = leaf
    for _ in range(depth):
        cid = folder(*((f"{i}".encode(), cid, 1) for i in range(width)))
    return cid


def hamt(links, fanout):
    return node(links, number(1, 5) + number(6, fanout))


def hamts(depth):
    cid = hamt([(b"00f", FILE, 1)], 256)
    for _ in range(depth):
        cid = hamt([(b"00", cid, 1)], 256)
    return cid


FILE = node([], number(1, 2) + field(2, b"text") + number(3, 4))
ROOTS = {
    "slash": folder((b"a/b", FILE, 4)),
    "up": folder((b"..", FILE, 4)),
    "dot": folder((b".", FILE, 4)),
    "nameless": folder((b"", FILE, 4)),
    "nul": folder((b"a\0b", FILE, 4)),
    "twice": folder((b"a", FILE, 4), (b"a", FILE, 4)),
    "long-name": folder((b"n" * 300, FILE, 4)),
    "deep": chain(300, FILE, 1),
    "diamonds": chain(40, FILE, 2),
    "hamt-deep": hamts(70),
    "hamt-names": hamt([(b"0", FILE, 4)], 256),
    "noise": keep(b"\xff" * 40),
    "cut": keep(field(2, field(1, FILE) + field(2, b"a"))[:-1]),
    "no-type": keep(field(1, b"")),
    "type": node([], number(1, 99)),
    "sizes": folder((b"a", node([(b"", FILE, 4)], number(1, 2) + number(3, 1000) + number(4, 4)), 4)),
    "sum": folder((b"a", node([(b"", FILE, 4)] * 3, number(1, 2) + number(4, (1 << 63) - 1) * 3), 4)),
    "parts": folder((b"a", node([(b"", FILE, 4)], number(1, 2) + number(3, 9) + number(4, 9)), 4)),
    "html": folder((b"html", FILE, 4)),
    "endless": folder((b"endless", FILE, 4)),
    "big": folder((b"big", FILE, 4)),
    "stale": folder((b"stale", FILE, 4)),
    "metadata": folder((b"metadata", FILE, 4)),
    "file": folder((b"file", FILE, 4)),
    "round": folder((b"round", FILE, 4)),
    "gone": folder((b"gone", FILE, 4)),
}
BAD_BLOCKS = {text_of(ROOTS[name]): name for name in ("html", "endless", "big", "stale", "metadata", "file", "round", "gone")}
for name, cid in ROOTS.items():
    log(f"root {name} {text_of(cid)}")


class Liar(standin.Handler):
    wbufsize = 1 << 20  # else the body waits for the acknowledgement of the header

    def say(self, status, content, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def endless(self, begin, more):
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        gave = 0
        try:
            self.wfile.write(begin)
            while True:
                self.wfile.write(more)
                gave += len(more)
        finally:
            log(f"gave {gave}")

    def drip(self, content, pause):
        """A byte of it after each PAUSE."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause)

    def list_bucket(self, kind, said):
        turn_now = turn()
        if kind in LISTINGS:
            self.say(200, LISTINGS[kind].encode())
        elif kind in STATUSES:
            status, text, headers = STATUSES[kind]
            self.say(status, text.encode(), headers)
        elif kind == "regions":
            self.say(400, f"<Error><Code>AuthorizationHeaderMalformed</Code><Region>r-{turn_now}</Region></Error>".encode(),
                     {"x-amz-bucket-region": f"r-{turn_now}"})
        elif kind == "round":
            self.say(307, b"", {"Location": self.path})
        elif kind == "outside":
            self.say(200, page(entry("elsewhere")).encode())
        elif kind == "empties":
            self.say(200, page("", f"t{turn_now}").encode())
        elif kind == "on-and-on":  # each page is true, there is always another one
            self.say(200, page(entry(f"{turn_now:020d}"), f"t{turn_now}").encode())
        elif kind == "dripping":
            self.drip(page(entry("a") * 10000).encode(), 0.2)
        elif kind == "endless":
            self.endless(b"<ListBucketResult>", entry("a").encode() * 1000)
        elif kind == "cut":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(page(entry("a")).encode()[:50])
        else:
            self.say(404, b"<Error><Code>NoSuchBucket</Code></Error>")

    def say_block(self, cid):
        lie = BAD_BLOCKS.get(cid)
        if cid not in blocks or lie == "gone":
            self.say(500, b'{"Message": "block was not found locally (offline)"}')
        elif lie == "html":
            self.say(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
        elif lie == "endless":
            self.endless(b"", bytes(65536))
        elif lie == "big":
            self.say(200, bytes(8 << 20))
        elif lie == "stale":
            self.say(200, blocks[text_of(FILE)])
        elif lie == "metadata":
            self.say(302, b"", {"Location": "http://169.254.169.254/latest/meta-data/"})
        elif lie == "file":
            self.say(302, b"", {"Location": "file:///etc/passwd"})
        elif lie == "round":
            self.say(302, b"", {"Location": self.path})
        else:
            self.say(200, blocks[cid])

    def do_any(self):
        self.sent()
        address = urllib.parse.urlsplit(self.path)
        said = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        log(f"asked {self.path}")
        parts = address.path.split("/")
        if address.path.startswith("/ipfs/") or address.path.startswith("/api/"):
            self.say_block(said["arg"] if "arg" in said else parts[2])
        elif "list-type" in said:
            self.list_bucket(parts[1].removeprefix("liar-"), said)
        elif parts[1].removeprefix("liar-") in OBJECTS:
            content, etag = OBJECTS[parts[1].removeprefix("liar-")]
            self.say(200, content, {"ETag": etag})
        else:
            self.say(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_HEAD = do_POST = do_any


standin.serve(Liar)
