"""The last minutes of lines, for guardrails that must act within seconds."""

import threading
import time
from collections import deque
from collections.abc import Sequence

from experiment.record.ledger import Line

__all__ = ["WINDOW_S", "Recent"]

WINDOW_S = 600.0
_MOST = 20_000


class Recent:
    """Lines of the last ``WINDOW_S`` seconds; any thread may add and ask."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=_MOST)
        self._lock = threading.Lock()

    def add(self, lines: Sequence[Line]) -> None:
        since = time.time() - WINDOW_S
        with self._lock:
            self._lines.extend(line for line in lines if line.ts >= since)

    def of(self, epoch: int) -> list[Line]:
        """Lines under one split, the oldest first."""
        since = time.time() - WINDOW_S
        with self._lock:
            while self._lines and self._lines[0].ts < since:
                self._lines.popleft()
            return [line for line in self._lines if line.epoch == epoch]
