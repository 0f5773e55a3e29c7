#!/usr/bin/env python3
"""A registry that misbehaves, for what a real one can't be made to do: registry_stub.py FOLDER

Writes its port to FOLDER/port when it listens and a line per request to FOLDER/requests. Wants user "shoal" with password
"s3cret" and repeats what it got in its answer otherwise. What /schemas/ids/N answers is in `schemas` below. Ends with its parent.
"""
import base64
import json
import pathlib
import sys

import standin

FOLDER = pathlib.Path(sys.argv[1])
AVSC = pathlib.Path(__file__).parent.parent.parent / "schemas"
AUTHORIZATION = "Basic " + base64.b64encode(b"shoal:s3cret").decode()
seen = {}


class Stub(standin.Handler):
    protocol_version = "HTTP/1.0"

    def answer(self, status, body, kind="application/vnd.schemaregistry.v1+json", more=()):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, message):
        self.answer(status, {"error_code": code, "message": message})

    def schema(self, number):
        control = (AVSC / "Control.avsc").read_text()
        turn = seen[self.path]
        if number == 1:
            self.answer(200, {"schema": control})
        elif number == 2:  # away twice, each time in another way
            if turn == 1:
                self.refuse(503, 50301, "starting")
            elif turn == 2:
                self.close_connection = True
            else:
                self.answer(200, {"schema": control})
        elif number == 3:  # no end
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b" " * 65536)
            except ConnectionError:
                self.close_connection = True
        elif number == 4:
            self.answer(302, "", more=[("Location", "/schemas/ids/1")])
        elif number == 5:
            self.answer(200, {"schema": '{"type":"record","name":"Job","fields":[{"name":"a","type":"Job"}]}'})
        elif number == 6:
            self.answer(200, {"schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"})
        elif number == 7:
            self.answer(200, "<html>welcome</html>", kind="text/html")
        elif number == 8:  # tells everybody what it was told
            self.refuse(422, 42201, "you said s3cret")
        elif number == 9:
            self.refuse(422, 42201, "you said " + self.headers["Authorization"])
        elif number == 10:
            self.refuse(422, 42201, "two\nlines\x1b[31m")
        elif number == 11:
            self.answer(404, "nothing here", kind="text/plain")
        elif number == 12:
            self.answer(200, {"schema": control, "references": [{"name": "x", "subject": "x", "version": 1}]})
        elif number == 13:
            self.answer(200, {"schema": 7})
        else:
            self.refuse(404, 40403, "Schema not found")

    def do_any(self):
        seen[self.path] = seen.get(self.path, 0) + 1
        with open(FOLDER / "requests", "a") as log:
            print(self.command, self.path, file=log)
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        if self.headers.get("Authorization") != AUTHORIZATION:
            self.refuse(401, 401, f"not {self.headers.get('Authorization')}: it is {AUTHORIZATION}, s3cret")
        elif self.path.startswith("/api/schemas/ids/"):
            self.schema(int(self.path.rsplit("/", 1)[1]))
        elif self.command == "POST" and self.path.endswith("/versions"):
            self.answer(200, {"id": -4})
        elif self.command == "POST":
            self.refuse(404, 40401, "Subject not found")
        else:
            self.refuse(403, 40301, "not for you")

    do_GET = do_POST = do_PUT = do_any


standin.serve(Stub, folder=FOLDER)
