"""Threads for photos, of which a small one need not wait until all large ones before it are done."""

import heapq
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

__all__ = ["Turns", "when_due"]

T = TypeVar("T")

_S_PER_BYTE = 0.3e-6


def when_due(size: int) -> float:
    """When it is the turn of so many bytes that come now: 0.3 s later for each megabyte."""
    return monotonic() + size * _S_PER_BYTE


class Turns:
    """Up to ``threads`` at once; then whose turn it is goes by ``when_due``."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = Lock()
        self._numbers = count()
        self._waiting: list[tuple[float, int, Future[Any], Callable[[], Any]]] = []

    def submit(self, size: int, work: Callable[[], T]) -> Future[T]:
        """What ``work``, about so many bytes, comes to; it may be cancelled while it waits."""
        turn: Future[T] = Future()
        with self._lock:
            heapq.heappush(self._waiting, (when_due(size), next(self._numbers), turn, work))
        self._threads.submit(self._next)
        return turn

    def close(self) -> None:
        self._threads.shutdown()

    def _next(self) -> None:
        with self._lock:
            *_, turn, work = heapq.heappop(self._waiting)
        if not turn.set_running_or_notify_cancel():
            return
        try:
            turn.set_result(work())
        except BaseException as error:
            turn.set_exception(error)
        # An error holds this frame, which would hold the error.
        del turn, work
