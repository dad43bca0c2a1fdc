"""Clients that never pause, for tests of what must not drop a request."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from tests.system import eventually


class Load:
    """Clients that ask without a pause: some on one connection each, some on a fresh one a request, some large."""

    def __init__(self, url: str, photo: bytes) -> None:
        self.outcomes: Counter[str] = Counter()
        self.answers = 0
        self._url = f"{url}/predict"
        self._stop = threading.Event()
        # What follows the end of a JPEG is not read, but it has to be sent.
        large = photo + bytes(6_000_000)
        with_session = [(photo, True), (photo, True), (large, True)]
        self._clients = [*with_session, (photo, False), (large, False)]
        self._threads = ThreadPoolExecutor(len(self._clients))

    def _ask(self, body: bytes, keep_alive: bool) -> None:
        session = requests.Session()
        while not self._stop.is_set():
            try:
                outcome = str(session.post(self._url, files={"file": ("a.jpg", body)}, timeout=60).status_code)
            except requests.RequestException as error:
                outcome = repr(error)
            self.outcomes[outcome] += 1
            self.answers += 1
            if not keep_alive:
                session.close()
                session = requests.Session()
        session.close()

    def answered(self, more: int = 30) -> None:
        """Waits until so many more requests have been answered."""
        goal = self.answers + more
        eventually(lambda: self.answers >= goal)

    @contextmanager
    def going(self) -> Iterator["Load"]:
        done = [self._threads.submit(self._ask, *client) for client in self._clients]
        try:
            self.answered()
            yield self
            self.answered()
        finally:
            self._stop.set()
            self._threads.shutdown()
        for future in done:
            future.result()
