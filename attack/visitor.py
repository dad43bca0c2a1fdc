"""A polite visitor, who asks now and then beside an attack, and notes how long it takes."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from attack.uploads import Answer, Uploads

__all__ = ["Visitor"]

_PAUSE_S = 0.2
# No attacker's address.
_CLIENT = 60_000


class Visitor:
    """Posts ``photo`` every 0.2 s while it is ``there``. ``waits`` are seconds until an answer, tries among them."""

    def __init__(self, url: str, photo: bytes) -> None:
        self._uploads = Uploads(url)
        self._photo = photo
        self.waits: list[float] = []
        self.statuses: Counter[int] = Counter()
        self._slowest = ""

    @contextmanager
    def there(self) -> Iterator[None]:
        gone = threading.Event()

        def ask() -> None:
            while not gone.wait(_PAUSE_S):
                self.waits.append(self._one())

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            gone.set()
            thread.join()

    def _one(self) -> float:
        began = time.monotonic()
        answer: Answer = self._uploads.post(_CLIENT, "a good photo", self._photo)
        self.statuses[answer.status] += 1
        return time.monotonic() - began

    @property
    def unanswered(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != 200)

    def take(self) -> list[float]:
        """The waits since the last call, sorted."""
        taken, self.waits = self.waits, []
        return sorted(taken)
