#!/usr/bin/env python3
"""A stand-in for Kubernetes' API server that takes what a worker asks of it: api_server.py PEM FOLDER. https with PEM, a certificate and its key.

FOLDER/answer has the status of the next answers, 200 if it isn't there. FOLDER/requests gets a line of JSON for each request:
time, method, path, type, token, body. FOLDER/port is its port.
"""
import json
import pathlib
import sys
import time

import standin

folder = pathlib.Path(sys.argv[2])


class ApiServer(standin.Handler):
    def do_PATCH(self):
        body = self.sent().decode()
        answer = folder / "answer"
        status = int(answer.read_text()) if answer.exists() else 200
        with open(folder / "requests", "a", encoding="utf-8") as log:
            log.write(json.dumps({"time": time.monotonic(), "method": self.command, "path": self.path, "type": self.headers["Content-Type"],
                                  "token": self.headers["Authorization"], "body": json.loads(body)}) + "\n")
        said = {"kind": "Status", "status": "Failure", "message": f'pods "one" is forbidden: said the server at {time.monotonic()}'} if status >= 400 else {"kind": "Pod"}
        text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


standin.serve(ApiServer, sys.argv[1], folder)
