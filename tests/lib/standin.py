"""What the tests' stand-in servers share: how requests are read, and the life of the server. Run them with `python3 -B`."""
import ctypes
import http.server
import os
import pathlib
import signal
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def sent(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *about):
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):  # a connection that is gone, or closed by ourselves
            super().handle_error(*about)


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def serve(handler, pem=None, folder=None):
    """Prints its port, or writes it to FOLDER/port, and serves until the parent ends; https with PEM, a certificate and its key. Listens on loopback, or STANDIN_HOST."""
    end_with_parent()
    server = Server((os.environ.get("STANDIN_HOST", "127.0.0.1"), 0), handler)
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    if folder is None:
        print(server.server_port, flush=True)
    else:
        new = pathlib.Path(folder, "port.new")
        new.write_text(str(server.server_port))
        new.rename(new.with_suffix(""))
    server.serve_forever()
