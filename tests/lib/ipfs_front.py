#!/usr/bin/env python3
"""A node or a gateway that lies about one block: ipfs_front.py http://HOST:PORT KIND NTH LOG [TIMES]. Prints its port and ends with its parent.

What is asked goes on to the server; the NTH block that is asked for here, other than those before it, isn't what came from there the first TIMES (always), and its CID is
written to LOG then:

    flips    one bit of it is another
    cuts     its last byte is missing
    adds     there is a byte more
    swaps    it is another block, a true one
    empties  it is empty
"""
import http.client
import re
import sys
import threading

import standin

target, kind, nth, log = sys.argv[1].removeprefix("http://"), sys.argv[2], int(sys.argv[3]), sys.argv[4]
left = int(sys.argv[5]) if len(sys.argv) > 5 else 1 << 30
asked = {}
lock = threading.Lock()
lies = {
    "flips": lambda block: block[:-1] + bytes([block[-1] ^ 1]),
    "cuts": lambda block: block[:-1],
    "adds": lambda block: block + b"\0",
    "swaps": lambda block: b"hello world",
    "empties": lambda block: b"",
}


class Front(standin.Handler):
    def do_any(self):
        global left
        sent = self.sent()
        there = http.client.HTTPConnection(target)
        there.request(self.command, self.path, sent)
        answer = there.getresponse()
        content = answer.read()
        cid = re.search("(?:arg=|/ipfs/)([a-z0-9]+)", self.path).group(1)
        with lock:
            if asked.setdefault(cid, len(asked) + 1) == nth and left > 0:
                left -= 1
                with open(log, "a") as file:
                    file.write(cid + "\n")
                content = lies[kind](content)
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_any


standin.serve(Front)
