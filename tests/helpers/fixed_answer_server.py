"""A server that gives one answer to everything, as something does that is not MLflow, or is unwell."""

import contextlib
import http.server
import json
import socket
import threading


class Answers(http.server.ThreadingHTTPServer):
    """Answers, and remembers the headers of what it was asked."""

    def __init__(self, status, body, headers):
        self.status, self.body, self.headers = status, body, headers
        self.asked = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.headers)
        status, body = self.server.status, self.server.body
        if callable(status):
            status, body = status(self.path, self.headers)
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def answering(status=200, body="", **headers):
    """A server with this answer; `status` may be a function of path and headers that gives both."""
    with Answers(
        status, body, {name.replace("_", "-"): text for name, text in headers.items()}
    ) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def speaking(text):
    """The address of a port at which something speaks, but not HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as port:

        def speak():
            with contextlib.suppress(OSError):
                while True:
                    guest, _ = port.accept()
                    with guest, contextlib.suppress(OSError):
                        guest.recv(4096)
                        guest.sendall(text)

        threading.Thread(target=speak, daemon=True).start()
        yield f"http://127.0.0.1:{port.getsockname()[1]}"
        port.shutdown(socket.SHUT_RDWR)
