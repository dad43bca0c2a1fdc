"""A web server that serves files as object storage does, and misbehaves when told to."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mmap import mmap
from typing import Any
from urllib.parse import urlsplit

Answer = Callable[["Request"], None]


class Site(ThreadingHTTPServer):
    """``files`` by name at ``url``; each request takes the next answer of ``plan``, and ``serve`` when there is none.

    ``asked`` keeps each request's name and its ``Range``. ``hung`` is set when an answer stalls, as it does until
    ``release`` is set.
    """

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server_port}/models"
        self.files: dict[str, bytes | mmap] = {}
        self.validators = {"ETag": '"1"', "Last-Modified": "Mon, 01 Mar 2021 10:00:00 GMT"}
        self.plan: deque[Answer] = deque()
        self.asked: list[tuple[str, str | None]] = []
        self.hung = threading.Event()
        self.release = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that goes away is part of the play
            super().handle_error(request, client_address)


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10  # a failing test may leave a connection open
    server: Site

    @property
    def name(self) -> str:
        return urlsplit(self.path).path.removeprefix("/models/")

    def do_GET(self) -> None:
        self.server.asked.append((self.name, self.headers["Range"]))
        answer = self.server.plan.popleft() if self.server.plan else serve
        answer(self)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def serve(
    request: Request,
    *,
    until: int | None = None,
    hang: bool = False,
    claim: int = 0,
    ranges: bool = True,
    checks_version: bool = True,
    content_range: str = "bytes {start}-{end}/{total}",
) -> None:
    """Answers as told: only ``until`` that byte (and then nothing, if ``hang``), a length wrong by ``claim`` bytes."""
    site = request.server
    body = memoryview(site.files[request.name])
    headers, status, start = dict(site.validators), 200, 0
    wanted = request.headers["Range"]
    if wanted and ranges and (not checks_version or request.headers["If-Range"] in site.validators.values()):
        status, start = 206, int(wanted.removeprefix("bytes=").removesuffix("-"))
        headers["Content-Range"] = content_range.format(start=start, end=len(body) - 1, total=len(body) + claim)
        if start >= len(body):
            request.head(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
            return
    request.head(status, {**headers, "Content-Length": str(len(body) - start + claim)})
    request.wfile.write(body[start:until])
    if hang:
        site.hung.set()
        site.release.wait(10)
    request.close_connection = True


def status(code: int) -> Answer:
    """An answer with that status and a page."""

    def answer(request: Request) -> None:
        page = b"<html>sorry</html>"
        request.head(code, {"Content-Length": str(len(page))})
        request.wfile.write(page)

    return answer


def redirect(to: str) -> Answer:
    """An answer that sends the client to ``to``."""
    return lambda request: request.head(302, {"Location": to, "Content-Length": "0"})


@contextmanager
def running() -> Iterator[Site]:
    """A site that answers until the block ends; no thread of it outlives the block."""
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.release.set()
            site.shutdown()
            thread.join()
