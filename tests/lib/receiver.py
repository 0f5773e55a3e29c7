#!/usr/bin/python3
"""Somebody who wants to be told: receiver.py FOLDER SECRET

Writes its port to FOLDER/port and each delivery as a line of JSON to FOLDER/deliveries: path, headers, whether the signature is right,
body. FOLDER/answer has the status codes to give, one after the other, the last one again and again; 0: no answer, the connection is cut.
"""
import hashlib
import hmac
import json
import pathlib
import sys

import standin

FOLDER = pathlib.Path(sys.argv[1])
SECRET = sys.argv[2].encode()


class Receiver(standin.Handler):
    protocol_version = "HTTP/1.0"

    def do_POST(self):
        body = self.sent()
        signed = self.headers.get("X-Shoal-Timestamp", "").encode() + b"." + body
        wanted = "sha256=" + hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
        codes = (FOLDER / "answer").read_text().split()
        if len(codes) > 1:
            (FOLDER / "answer").write_text(" ".join(codes[1:]))
        line = {"path": self.path, "delivery": self.headers.get("X-Shoal-Delivery"), "answer": int(codes[0]),
                "type": self.headers.get("Content-Type"), "signed": self.headers.get("X-Shoal-Signature") == wanted,
                "body": json.loads(body)}
        with open(FOLDER / "deliveries", "a") as out:
            out.write(json.dumps(line) + "\n")
        if codes[0] == "0":
            self.close_connection = True
            return
        self.send_response(int(codes[0]))
        self.send_header("Content-Length", "0")
        if codes[0] == "302":
            self.send_header("Location", "/elsewhere")
        self.end_headers()


standin.serve(Receiver, folder=FOLDER)
