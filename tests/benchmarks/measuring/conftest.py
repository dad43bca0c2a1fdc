"""A server that answers as it is told, with no web framework, so that tests of the load are tests of the load."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.measuring.load import Target

Script = Callable[[int], tuple[int, dict[str, str]]]
"""The number of a request, from 0, to its status and headers."""


class Told(ThreadingHTTPServer):
    """``asked`` counts requests, ``bodies`` keeps what they held."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.bodies: list[bytes] = []
        self.connections = 0
        self._lock = threading.Lock()

    def next(self, body: bytes) -> tuple[int, dict[str, str]]:
        with self._lock:
            self.bodies.append(body)
            return self.script(len(self.bodies) - 1)

    @property
    def target(self) -> Target:
        return Target(f"http://127.0.0.1:{self.server_address[1]}/predict", (("X-Variant", "custom"),))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Told

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        status, headers = self.server.next(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(status)
        for name, value in {"Content-Length": "2", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def told() -> Iterator[Callable[[Script], Told]]:
    """Starts servers that follow a script."""
    servers: list[Told] = []

    def start(script: Script) -> Told:
        server = Told(script)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
