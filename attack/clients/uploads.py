"""Uploads from many addresses at once, and what came of each."""

import http.client
import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Answer", "Uploads", "form"]

TIMEOUT_S = 90
_BOUNDARY = "attack-boundary"
# So many that limits for one client do not keep the attack from what is behind them.
_ADDRESSES = 240
# An honest refusal says when to come back; whoever insists is served in the end.
_TRIES = 40


@dataclass(frozen=True)
class Answer:
    """``status`` 0 where the connection was cut; ``honest`` where it is a refusal that says when to come back."""

    status: int
    seconds: float
    honest: bool = False
    body: bytes = b""

    @property
    def dishonest(self) -> bool:
        """Whether it says that the system has failed."""
        return self.status == 0 or (self.status >= 500 and not self.honest)


class Uploads:
    """Posts files to ``url``, ``at_once`` at a time, from many addresses in 127.0.0.0/8.

    ``statuses`` counts every answer, ``failures`` names the uploads whose answer was a failure of the system.
    """

    def __init__(self, url: str, at_once: int = 6) -> None:
        parts = urlsplit(url)
        self._to = (parts.hostname or "", parts.port or 80)
        self._at_once = at_once
        self._numbers = itertools.count(1)
        self._addresses = itertools.cycle(range(_ADDRESSES))
        self._lock = threading.Lock()
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []

    def send(self, files: Iterable[tuple[str, bytes]], path: str = "/predict", insist: bool = True) -> list[Answer]:
        """Posts all of ``files`` (name and content); refusals that say when to come back are tried again."""
        waiting = iter(files)
        answers: list[Answer] = []

        def work() -> None:
            for name, data in self._shared(waiting):
                answer = self.post(next(self._addresses), name, data, path, insist)
                with self._lock:
                    answers.append(answer)

        threads = [threading.Thread(target=work) for _ in range(self._at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def post(self, client: int, name: str, data: bytes, path: str = "/predict", insist: bool = True) -> Answer:
        """One upload from the address of a client."""
        for attempt in range(_TRIES if insist else 1):
            answer = self._once(client, data, path)
            with self._lock:
                self.sent += 1
                self.statuses[answer.status] += 1
                if answer.dishonest:
                    self.failures.append(f"{name} to {path}: {answer.status or 'no answer'}")
            if not answer.honest:
                break
            time.sleep(0.2 * (attempt + 1))
        return answer

    def _once(self, client: int, data: bytes, path: str) -> Answer:
        began = time.monotonic()
        connection = http.client.HTTPConnection(*self._to, timeout=TIMEOUT_S, source_address=(_address(client), 0))
        headers = {
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            "X-Request-ID": f"attack-{os.getpid()}-{next(self._numbers)}",
        }
        try:
            connection.request("POST", path, form(data), headers)
            answer = connection.getresponse()
            body = answer.read()
            honest = answer.status in (429, 503) and bool(answer.headers["Retry-After"]) and _told(body)
            return Answer(answer.status, time.monotonic() - began, honest, body)
        except (OSError, http.client.HTTPException):
            return Answer(0, time.monotonic() - began)
        finally:
            connection.close()

    def _shared(self, files: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        while True:
            with self._lock:
                one = next(files, None)
            if one is None:
                return
            yield one


def form(data: bytes) -> bytes:
    """A photo as the form that a browser sends."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _address(client: int) -> str:
    return f"127.1.{client // 250}.{1 + client % 250}"


def _told(body: bytes) -> bool:
    """Whether there is a sentence for whoever asked."""
    if body.lstrip().startswith(b"<"):
        return b'role="alert"' in body
    try:
        return bool(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return False
