"""Clients that never pause, and remember of every request what came of it."""

import http.client
import select
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Answer", "Clients"]

_TIMEOUT_S = 120
_AGAIN_S = 0.05
_BOUNDARY = "storm-boundary"
# The first ones keep their connection, as browsers do; the others open one a request, as curl does.
_KEPT = 5
# Too large for nginx's memory, so that it goes by way of the disk. What follows the end of a JPEG is not read.
_LARGE = 800_000


@dataclass(frozen=True)
class Answer:
    """One request: when it ``began`` and ``ended`` on the monotonic clock; ``status`` 0 where it was cut off."""

    request_id: str
    began: float
    ended: float
    status: int


class Clients:
    """``connections`` clients that post a photo to ``url``, each request with an id of its own, until ``stop``.

    Where nobody listens, a client has sent nothing yet: it tries again, which ``unheard`` counts.
    """

    def __init__(self, url: str, photo: bytes, connections: int = 8) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._bodies = [_form(photo)] * (connections - 1) + [_form(photo + bytes(_LARGE))]
        self._answers: list[Answer] = []
        self._running = threading.Event()
        self._stopped = threading.Event()
        self._begun: dict[int, float] = {}
        """When each client began what it waits for."""
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(connections)]
        self.unheard: Counter[int] = Counter()

    def start(self) -> None:
        self._running.set()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._running.set()
        for thread in self._threads:
            thread.join()

    def take(self) -> list[Answer]:
        """The answers since the last call."""
        taken, self._answers = self._answers, []
        return taken

    def answered(self, more: int) -> None:
        """Waits for so many more answers."""
        with self._changed:
            goal = len(self._answers) + more
            self._changed.wait_for(lambda: len(self._answers) >= goal, _TIMEOUT_S)

    def done(self) -> None:
        """Waits until all that is under way now has been answered."""
        now = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: all(began > now for began in self._begun.values()), _TIMEOUT_S)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nobody asks meanwhile, and all that was asked has been answered."""
        self._running.clear()
        with self._changed:
            self._changed.wait_for(lambda: not self._begun)
        yield
        self._running.set()

    def _ask(self, client: int) -> None:
        connection: http.client.HTTPConnection | None = None
        number = 0
        while True:
            self._running.wait()
            with self._changed:
                if self._stopped.is_set():
                    break
                if not self._running.is_set():
                    continue
                self._begun[client] = time.monotonic()
            number += 1
            connection = self._one(client, f"storm-{client}-{number}", connection)
            with self._changed:
                del self._begun[client]
                self._changed.notify_all()
        if connection:
            connection.close()

    def _one(
        self, client: int, request_id: str, kept: http.client.HTTPConnection | None
    ) -> http.client.HTTPConnection | None:
        """Asks once; returns the connection, if it is to be used again."""
        if kept and _closed(kept):
            kept.close()
            kept = None
        connection = kept or self._connected(client)
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "X-Request-ID": request_id}
        if client >= _KEPT:
            headers["Connection"] = "close"
        began, status = time.monotonic(), 0
        try:
            connection.request("POST", "/predict", self._bodies[client], headers)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            connection.close()
        self._answers.append(Answer(request_id, began, time.monotonic(), status))
        if status and client < _KEPT:
            return connection
        connection.close()
        return None

    def _connected(self, client: int) -> http.client.HTTPConnection:
        while True:
            connection = http.client.HTTPConnection(*self._address, timeout=_TIMEOUT_S)
            try:
                connection.connect()
            except OSError:
                connection.close()
                self.unheard[client] += 1
                time.sleep(_AGAIN_S)
            else:
                return connection


def _closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed it while it was idle."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])


def _form(photo: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return head.encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()
