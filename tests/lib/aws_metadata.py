#!/usr/bin/env python3
"""An instance's metadata, version 2, and a container's agent, for credentials of a real server that are swapped: aws_metadata.py FILE LOG

What FILE holds (JSON as both give it) is what they answer, at the time. Prints its port, writes a line per request to LOG and ends with its parent.

    http://127.0.0.1:PORT              AWS_EC2_METADATA_SERVICE_ENDPOINT; nothing without a token that was asked for by PUT
    http://127.0.0.1:PORT/container    AWS_CONTAINER_CREDENTIALS_FULL_URI; wants "Authorization: agent-token"
"""
import ctypes
import http.server
import signal
import sys
import threading

ROLES = "/latest/meta-data/iam/security-credentials/"
lock = threading.Lock()


class Metadata(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text):
        with lock, open(sys.argv[2], "a") as log:
            log.write(f"{self.command} {self.path} {status}\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        lasting = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit()
        self.answer(*(200, b"instance-token") if lasting else (400, b""))

    def do_GET(self):
        known = self.headers.get("X-aws-ec2-metadata-token") == "instance-token"
        if self.path == "/container":
            known = self.headers.get("Authorization") == "agent-token"
        if not known:
            self.answer(401, b"")
        elif self.path == ROLES:
            self.answer(200, b"worker\n")
        elif self.path in (ROLES + "worker", "/container"):
            with open(sys.argv[1], "rb") as file:
                self.answer(200, file.read())
        else:
            self.answer(404, b"")

    def log_message(self, *_):
        pass


ctypes.CDLL(None).prctl(1, signal.SIGKILL)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
print(server.server_address[1], flush=True)
server.serve_forever()
