"""A load of a few connections that never pause, light enough to share the machine with the server it measures.

One thread and ``epoll``: a request costs it about a tenth of a millisecond, which ``Load.client_cpu_s`` tells.
"""

import selectors
import socket
import statistics
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from time import perf_counter, thread_time
from urllib.parse import urlsplit

import httptools

__all__ = ["Load", "Target", "alternate", "ask", "load"]

_TIMEOUT_S = 60
_BOUNDARY = "benchmark-boundary"


@dataclass(frozen=True)
class Target:
    """Where photos are sent."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def request(self, photo: bytes) -> bytes:
        """The whole request, as browsers and curl write it."""
        part = (
            f"--{_BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        body = part + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()
        host, port = self.address
        lines = [
            f"POST {urlsplit(self.url).path} HTTP/1.1",
            f"Host: {host}:{port}",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Content-Type: multipart/form-data; boundary={_BOUNDARY}",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Load:
    """What came back: of the requests begun within a window of ``seconds``, and ``answers`` that ended within it.

    ``rejected`` counts honest refusals: 503 with ``Retry-After``, which the client then obeys. ``errors`` counts all
    else that is not 200.
    """

    seconds: float
    answers: int = 0
    rejected: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    client_cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    def percentile_s(self, percent: int) -> float:
        """The latency that so many percent of the answers stay below; NaN where there are too few answers."""
        if len(self.latencies_s) < 2:
            return float("nan")
        return statistics.quantiles(self.latencies_s, n=100, method="inclusive")[percent - 1]


class _Connection:
    """One keep-alive connection: sends, reads, and says when an answer is complete."""

    def __init__(self, target: Target, request: bytes, selector: selectors.BaseSelector) -> None:
        self._target = target
        self._request = memoryview(request)
        self._selector = selector
        self._socket: socket.socket | None = None
        self.busy = False
        self.started = 0.0
        self.resumes = 0.0
        self.status = 0
        self.retry_after = ""

    def begin(self) -> None:
        """Sends the request, on a new connection where there is none."""
        self.started = perf_counter()
        self.busy, self.status, self.retry_after, self._unsent, self._complete = True, 0, "", self._request, False
        self._parser = httptools.HttpResponseParser(self)
        if self._socket is None:
            self._socket = socket.create_connection(self._target.address, timeout=_TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setblocking(False)
            self._selector.register(self._socket, selectors.EVENT_READ, self)
        self.advance(selectors.EVENT_WRITE)

    def advance(self, events: int) -> bool:
        """Sends and reads what can be; true once the answer is complete. Raises ``OSError`` where it never will be."""
        assert self._socket
        if events & selectors.EVENT_WRITE and self._unsent:
            with suppress(BlockingIOError):
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            if self._selector.get_key(self._socket).events != wanted:
                self._selector.modify(self._socket, wanted, self)
        if events & selectors.EVENT_READ:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("closed before the answer was complete")
            self._parser.feed_data(data)
        if not (self._complete and not self._unsent):
            return False
        self.busy = False
        if not self._kept:
            self.close()
        return True

    def close(self) -> None:
        if self._socket:
            self._selector.unregister(self._socket)
            self._socket.close()
        self._socket, self.busy = None, False

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = value.decode()

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._kept = self._parser.should_keep_alive()
        self._complete = True


def load(target: Target, photo: bytes, connections: int, seconds: float, warm_up_s: float = 0.5) -> Load:
    """Keeps ``connections`` busy for ``warm_up_s`` and then ``seconds``, and waits for what is under way by then."""
    request = target.request(photo)
    measured = Load(seconds)
    with selectors.DefaultSelector() as selector:
        clients = [_Connection(target, request, selector) for _ in range(connections)]
        opens = perf_counter() + warm_up_s
        closes = opens + seconds
        cpu = thread_time()
        while True:
            now = perf_counter()
            if now < closes:
                for client in clients:
                    if not client.busy and client.resumes <= now:
                        _try(client, measured, opens, closes, None)
            elif not measured.client_cpu_s:
                measured.client_cpu_s = thread_time() - cpu
            if now >= closes and not any(client.busy for client in clients):
                break
            for key, events in selector.select(0.02):
                _try(key.data, measured, opens, closes, events)
            for client in clients:
                if client.busy and perf_counter() - client.started > _TIMEOUT_S:
                    client.close()
                    measured.errors["timeout"] += 1
        for client in clients:
            client.close()
    return measured


def _try(client: _Connection, measured: Load, opens: float, closes: float, events: int | None) -> None:
    """Begins (no ``events``) or goes on with a client's request, and counts it where it is over."""
    try:
        if events is None:
            client.begin()
            return
        if not client.advance(events):
            return
    except (OSError, httptools.HttpParserError) as error:
        client.close()
        client.resumes = perf_counter() + 0.1
        measured.errors[type(error).__name__] += 1
        return
    now = perf_counter()
    refused = client.status == 503 and client.retry_after.isdecimal()
    if refused:
        client.resumes = now + int(client.retry_after)
    if now >= opens and client.status != 200 and not refused:
        measured.errors[str(client.status)] += 1
    if client.started < opens:
        measured.answers += client.status == 200 and opens <= now < closes
    elif refused:
        measured.rejected += 1
    elif client.status == 200:
        measured.answers += now < closes
        measured.latencies_s.append(now - client.started)


def ask(target: Target, photo: bytes) -> int:
    """Sends one photo and returns the answer's status; 0 where there was no answer."""
    with selectors.DefaultSelector() as selector:
        client = _Connection(target, target.request(photo), selector)
        try:
            client.begin()
            while not any([key.data.advance(events) for key, events in selector.select(_TIMEOUT_S)]):  # noqa: C419
                if perf_counter() - client.started > _TIMEOUT_S:
                    return 0
        except (OSError, httptools.HttpParserError):
            return 0
        else:
            return client.status
        finally:
            client.close()


def alternate(targets: list[Target], photo: bytes, rounds: int) -> list[list[float]]:
    """Asks each target once a round, one at a time, each on its own connection; each one's latencies in seconds."""
    latencies: list[list[float]] = [[] for _ in targets]
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        clients = [_Connection(target, target.request(photo), selector) for target in targets]
        for client in clients:
            stack.callback(client.close)
        for number in range(rounds):
            # Whoever comes second finds the processor's caches warm: they take turns at that, too.
            for index in range(len(clients)) if number % 2 else reversed(range(len(clients))):
                client = clients[index]
                client.begin()
                while client.busy:
                    for key, events in selector.select(_TIMEOUT_S):
                        key.data.advance(events)
                latencies[index].append(perf_counter() - client.started)
                if client.status != 200:
                    raise RuntimeError(f"{targets[index].url} answered {client.status}")
    return latencies
