"""Photos that wait for a model, scored together."""

from collections import deque
from collections.abc import Callable
from threading import Event, Lock, Semaphore
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scores", "Together", "fastest"]

Scores = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pixels ``(N, height, width, 3)`` to scores ``(N, classes)``."""

_ROUNDS = 3
# Less is noise, and not worth the wait of the photo that came first.
_GAIN = 1.15


def fastest(scores: Scores, photo: NDArray[np.uint8], most: int) -> int:
    """How many copies of ``photo``, a power of 2 up to ``most``, are scored in the least time each."""
    sizes = [1 << power for power in range(most.bit_length())]
    batches = {size: np.stack([photo] * size) for size in sizes}
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(_ROUNDS + 1):  # the first makes ready, and does not count
        for size in sizes:
            start = perf_counter()
            scores(batches[size])
            times[size].append((perf_counter() - start) / size)
    each = {size: min(found[1:]) for size, found in times.items()}
    best = min(each, key=each.__getitem__)
    return best if each[best] * _GAIN < each[1] else 1


class _Order:
    """A photo that waits; ``taken`` once somebody scores it, ``done`` when it has scores or an error."""

    def __init__(self, photo: NDArray[np.uint8]) -> None:
        self.photo = photo
        self.taken = False
        self.done = Event()
        self.scores: NDArray[np.float32] | None = None
        self.error: Exception | None = None


class Together:
    """Answers up to ``batch`` photos with one call of ``scores``, of which ``at_once`` run: those that came meanwhile.

    Nobody waits for others to come. May be called from many threads.
    """

    def __init__(self, scores: Scores, batch: int, at_once: int = 1) -> None:
        self._scores = scores
        self._batch = batch
        self._waiting: deque[_Order] = deque()
        self._lock = Lock()
        self._turn = Semaphore(at_once)

    def __call__(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(height, width, 3)`` to ``(classes,)``; raises what ``scores`` raises."""
        order = _Order(photo)
        self._waiting.append(order)
        with self._turn:
            while not order.taken:
                self._answer_some()
        order.done.wait()
        if order.error:
            raise order.error
        assert order.scores is not None
        return order.scores

    def _answer_some(self) -> None:
        with self._lock:
            orders = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            for order in orders:
                order.taken = True
        if not orders:  # another took them just now
            return
        try:
            for order, scores in zip(orders, self._scores(np.stack([o.photo for o in orders])), strict=True):
                order.scores = scores
        except Exception as error:
            for order in orders:
                order.error = error
        finally:
            for order in orders:
                order.done.set()
