#!/usr/bin/env python3
"""An instance's metadata, version 2, and a container's agent, for credentials of a real server that are swapped: aws_metadata.py FILE LOG

What FILE holds (JSON as both give it) is what they answer, at the time. Prints its port, writes a line per request to LOG and ends with its parent.

    http://127.0.0.1:PORT              AWS_EC2_METADATA_SERVICE_ENDPOINT; nothing without a token that was asked for by PUT
    http://127.0.0.1:PORT/container    AWS_CONTAINER_CREDENTIALS_FULL_URI; wants "Authorization: agent-token"
"""
import sys
import threading

import standin

ROLES = "/latest/meta-data/iam/security-credentials/"
lock = threading.Lock()


class Metadata(standin.Handler):
    def answer(self, status, text):
        with lock, open(sys.argv[2], "a") as log:
            log.write(f"{self.command} {self.path} {status}\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_PUT(self):
        self.sent()
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


standin.serve(Metadata)
